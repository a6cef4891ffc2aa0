import { unknownRoute as contract } from '#lib/contracts/http/system.ts';
import { routes } from '#lib/contracts/index.ts';
import { notAllowed, notFound } from '#lib/domain/errors.ts';
import { httpHandler, type Request } from '#lib/http/http-handler.ts';
import { anyPath, createMethodsOfPath } from '#lib/http/known-paths.ts';

type Uses = { methodsOf: (path: string) => string[] };

const contracts = Object.values(routes);
const methodsOf = createMethodsOfPath(contracts);

/** Answers every request without a route. */
export const rejectUnknownRoute = ({ input }: Pick<Request<typeof contract>, 'input'>, uses: Uses): never => {
  const methods = uses.methodsOf(input.path);
  throw methods.length === 0 ? notFound('route') : notAllowed(methods);
};

export const handler = httpHandler(
  contract,
  rejectUnknownRoute,
  { methodsOf: () => methodsOf },
  anyPath(contracts),
);
