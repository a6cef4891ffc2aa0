// Installs the packages of package-lock.json before any npm script that needs them: a fresh clone works without `npm ci`.
// It runs on the machine's own Node (18 and later) without any package. The scripts after it use
// `node_modules/.bin/node`, the Node of the functions.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const packagesIn = (file) => {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages ?? {};
  } catch {
    return undefined;
  }
};

/** The last step of an npm installation writes node_modules/.package-lock.json. */
const isInstalled = () => {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules/.package-lock.json');
  if (wanted === undefined || installed === undefined) return false;
  return (
    existsSync(join(root, 'node_modules/.bin/node')) &&
    Object.entries(wanted).every(
      ([path, { version, optional, devOptional }]) =>
        path === '' ||
        installed[path]?.version === version ||
        // For another operating system, or a dependency of such a package.
        ((optional === true || devOptional === true) && installed[path] === undefined),
    )
  );
};

/** Allows one installation at a time in a checkout: `npm start` and `npm test` may start together. */
const locked = async (install) => {
  mkdirSync(join(root, '.data'), { recursive: true });
  const lock = join(root, '.data/install.lock');
  for (let attempt = 0; ; attempt += 1) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owner = Number(existsSync(lock) ? readFileSync(lock, 'utf8') : 0);
    // A lock without an owner was made at this moment, or its process was killed while making it.
    const isLeft = owner > 0 ? !isRunning(owner) : attempt > 20;
    if (isLeft) rmSync(lock, { force: true });
    else if (attempt === 0) console.log('waiting for another installation of packages in this checkout …');
    await delay(500);
  }
  try {
    if (!isInstalled()) await install();
  } finally {
    rmSync(lock, { force: true });
  }
};

const isRunning = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

const npmCi = async () => {
  const since = Date.now();
  const elapsed = () => Math.round((Date.now() - since) / 1000);
  const tty = process.stdout.isTTY === true;
  console.log(
    'installing packages (npm ci), because node_modules is missing or older than package-lock.json',
  );
  const timer = setInterval(
    () => process.stdout.write(tty ? `\r\x1b[K  npm ci … ${elapsed()} s` : `  npm ci … ${elapsed()} s\n`),
    tty ? 500 : 5_000,
  );

  // The machine's npm: the Node in node_modules is about to be replaced.
  const bin = resolve(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => resolve(folder) !== bin);
  const npm = process.env.npm_execpath;
  const [file, ...args] = npm?.endsWith('.js') ? ['node', npm, 'ci'] : ['npm', 'ci'];
  const child = spawn(file, args, {
    cwd: root,
    env: { ...process.env, PATH: path.join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((done) => {
    child.once('error', (error) => {
      output += error.message;
      done(-1);
    });
    child.once('close', done);
  });
  clearInterval(timer);
  if (tty) process.stdout.write('\r\x1b[K');
  if (code !== 0) {
    console.error(output.trim());
    console.error(`\nThe packages could not be installed (npm ci, see above). Mend that and try again.`);
    process.exitCode = 1;
  } else if (!existsSync(join(root, 'node_modules/.bin/node'))) {
    console.error(output.trim());
    console.error(
      '\nnpm ci has not put Node in place (node_modules/.bin/node is missing). Are install scripts switched off (npm config get ignore-scripts)?',
    );
    process.exitCode = 1;
  } else {
    console.log(`  ✓ packages installed (${elapsed()} s)`);
  }
};

if (!isInstalled()) await locked(npmCi);
if (process.exitCode === undefined) {
  // The workspace's package is used as its users have it: built.
  execFileSync(
    join(root, 'node_modules/.bin/node'),
    [join(root, 'plugins/serverless-offline-rabbitmq/build.mjs'), '--if-changed'],
    { stdio: 'inherit' },
  );
}
