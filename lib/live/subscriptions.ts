import type { AccessTokens } from '#lib/auth/access-tokens.ts';
import type { Answer, ClosingReason } from '#lib/contracts/frames/server.ts';
import { clientNetwork } from '#lib/domain/client-network.ts';
import {
  conflict,
  isKnownError,
  KnownError,
  tokenEnded,
  unauthenticated,
  unavailable,
} from '#lib/domain/errors.ts';
import type { RateLimiter } from '#lib/domain/rate-limit.ts';
import type { CounterReference } from '#lib/domain/reference.ts';
import { socketLimits } from '#lib/domain/socket-limits.ts';
import type { Connections } from '#lib/redis/live/connections.ts';

/** `connectedAtMs` is undefined where the gateway does not tell it. `address`: of the client. */
type Connection = { id: string; connectedAtMs: number | undefined; address: string };
type Ending = { closing: ClosingReason; after?: KnownError };
type Barred = Exclude<Awaited<ReturnType<Connections['unsubscribe']>>, { kind: 'unsubscribed' }>;

type Uses = {
  connections: Pick<Connections, 'authenticate' | 'ping' | 'unsubscribe'>;
  accessTokens: Pick<AccessTokens, 'open'>;
  limiter: RateLimiter;
  pingSeconds: number;
  /** Starts a recovery; returns at once. */
  askForRecovery: () => void;
  now: () => number;
};

const closed = () => unavailable('The numbers are being recovered. Try again in a moment.', undefined, 1);
const notAuthenticated = () =>
  unauthenticated('Send authenticate first, and wait for its answer.', 'frame-unauthenticated');
const tooManyConnections = () =>
  new KnownError(
    'too-many-requests',
    `A user may have ${socketLimits.connections} connections at the same time.`,
  );

/** Answers the frames of connections. Each answer is a frame, or the end of the connection. */
export const createSubscriptions = ({
  connections,
  accessTokens,
  limiter,
  pingSeconds,
  askForRecovery,
  now,
}: Uses) => {
  /** The age of a connection in milliseconds, as the gateway knows it. */
  const ageOf = ({ connectedAtMs }: Connection): number =>
    connectedAtMs === undefined ? 0 : now() - connectedAtMs;

  /** @throws unauthenticated before `authenticate`; unavailable while the gate is closed */
  const endOf = (connection: Connection, barred: Barred): Ending => {
    switch (barred.kind) {
      case 'gone':
        return { closing: barred.reason };
      case 'unknown':
        // An old connection has authenticated, or it would be closed. So Redis forgot it.
        if (ageOf(connection) > socketLimits.authenticateMs) return { closing: 'restart' };
        throw notAuthenticated();
      case 'closed':
        askForRecovery();
        throw closed();
    }
  };

  /** @throws unauthenticated; too-many-requests after too many bad tokens of the client's network */
  const countBadToken = async ({ address }: Connection, error: unknown): Promise<never> => {
    const quota = isKnownError(error, 'unauthenticated')
      ? await limiter.take('bad-tokens', clientNetwork(address))?.quota
      : undefined;
    throw quota?.exceeded ? new KnownError('too-many-requests', 'Too many bad access tokens.') : error;
  };

  const authenticate = async (connection: Connection, accessToken: string): Promise<Answer | Ending> => {
    const { caller, expiresAtMs } = await accessTokens.open(accessToken);
    const { id, generation } = caller;
    const outcome = await connections.authenticate(connection.id, {
      id,
      generation,
      endsAtMs: expiresAtMs,
    });
    switch (outcome.kind) {
      case 'authenticated': {
        const expiresIn = Math.max(0, Math.floor((expiresAtMs - now()) / 1000));
        return { type: 'authenticated', expiresIn, pingSeconds };
      }
      case 'ended':
        throw tokenEnded();
      case 'another':
        throw conflict('This connection belongs to another user. Open a new one.');
      case 'full':
        return { closing: 'limit', after: tooManyConnections() };
      default:
        return endOf(connection, outcome);
    }
  };

  return {
    /** @throws unauthenticated, conflict (another user's connection), too-many-requests, unavailable */
    authenticate: (connection: Connection, accessToken: string): Promise<Answer | Ending> =>
      authenticate(connection, accessToken).catch((error: unknown) => countBadToken(connection, error)),

    /** @throws unauthenticated, unavailable */
    unsubscribe: async (connection: Connection, of: CounterReference): Promise<Answer | Ending> => {
      const outcome = await connections.unsubscribe(connection.id, of);
      if (outcome.kind !== 'unsubscribed') return endOf(connection, outcome);
      const { token, chatNumber } = of;
      return { type: 'unsubscribed', token, ...(chatNumber === undefined ? {} : { chatNumber }) };
    },

    /** Renews a connection, also while Redis is away or the gate is closed. @throws unauthenticated */
    ping: async (connection: Connection): Promise<Answer | Ending> => {
      // Before the gateway ends it without a word.
      if (ageOf(connection) > socketLimits.lifeMs - socketLimits.restartMs) return { closing: 'restart' };
      try {
        const outcome = await connections.ping(connection.id);
        if (outcome.kind !== 'alive') return endOf(connection, outcome);
        return { type: 'pong', positions: outcome.positions };
      } catch (error) {
        if (isKnownError(error, 'unavailable')) return { type: 'pong' };
        throw error;
      }
    },
  };
};

export type Subscriptions = ReturnType<typeof createSubscriptions>;
