import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const read = (url: string) => readFileSync(fileURLToPath(url), 'utf8');

const style = `
body { margin: 0; }
.swagger-ui .info { margin: 32px 0 24px; }
.swagger-ui .info .title { font-size: 32px; }
.swagger-ui .scheme-container { margin: 0 0 8px; padding: 16px 0; }
.swagger-ui .servers-title, .swagger-ui .servers, .swagger-ui .response-col_links { display: none; }
.swagger-ui .headers .header-col { color: inherit; }
.swagger-ui .opblock-tag { font-size: 20px; }
noscript { display: block; margin: 48px; font: 16px sans-serif; }
`;

/**
 * The page handles credentials itself. With 'omit' the browser sends no cookies, and shows no password dialog after a
 * refused sign-in. A successful sign-in stores its access token as the button Authorize would.
 */
const script = `
document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);
const ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: (request) => Object.assign(request, { credentials: 'omit' }),
  responseInterceptor: (response) => {
    if (response.ok && new URL(response.url).pathname.replace(/\\/$/, '') === '/users/token') {
      ui.preauthorizeApiKey('bearer', response.body.accessToken);
    }
    return response;
  },
});
`;

/** For a Content-Security-Policy: allows exactly this text. */
const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** The page in both encodings, and its policy. */
export type DocsPage = {
  html: string;
  /** The same, compressed, in base64. */
  gzipped: string;
  /** Lets the page run its own scripts and talk to its own server, and nothing else. */
  contentSecurityPolicy: string;
};

/**
 * A page to read and try the API: Swagger UI with its scripts and styles inlined, so that one answer contains all of it.
 * The page contains no data of the request. It is read from the package `swagger-ui-dist`, which serverless.yml ships
 * with the function.
 */
export const createDocsPage = (): DocsPage => {
  const library = read(import.meta.resolve('swagger-ui-dist/swagger-ui-bundle.js'))
    // Inside a script element this text would begin a comment that hides the end of the element.
    .replaceAll('<!--', '<\\!--');
  const styles = read(import.meta.resolve('swagger-ui-dist/swagger-ui.css')).replace(
    /\/\*# sourceMappingURL=.*\*\//,
    '',
  );
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat API</title>
<link rel="icon" href="data:,">
<style>${styles}</style>
<style>${style}</style>
</head>
<body>
<div id="api"></div>
<noscript>This page needs JavaScript. The API is described in <a href="/openapi.json">/openapi.json</a>.</noscript>
<script>${library}</script>
<script>${script}</script>
</body>
</html>
`;
  return {
    html,
    gzipped: gzipSync(html).toString('base64'),
    contentSecurityPolicy: [
      "default-src 'none'",
      `script-src ${hashOf(library)} ${hashOf(script)}`,
      `style-src ${hashOf(styles)} ${hashOf(style)}`,
      'img-src data:',
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
  };
};
