import { Redis } from 'ioredis';

/**
 * A connection that answers or fails within `timeoutMs`, reconnects by itself, and never sends a command twice:
 * a numbering script sent again on a new connection could number twice.
 */
export const connectRedis = (
  url: string,
  { timeoutMs, onError }: { timeoutMs: number; onError: (error: Error) => void },
): Redis => {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    autoResendUnfulfilledCommands: false,
    // A command on a connection that is lost fails at once: whoever sent it knows whether it may be sent again.
    maxRetriesPerRequest: 0,
    enableReadyCheck: true,
    // After a failover the old primary may live on as a replica, and keep this connection: the name leads elsewhere now.
    reconnectOnError: ({ message }) => /^(READONLY|MOVED) /.test(message),
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 3), 400),
  });
  redis.on('error', onError);
  return redis;
};
