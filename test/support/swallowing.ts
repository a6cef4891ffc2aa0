import { pickPort, releasePort, type Urls } from '../../local/services/index.ts';
import { TcpProxy } from '../chaos/tcp-proxy.ts';

const variables = ['MYSQL_URL', 'REDIS_URL', 'RABBITMQ_URL', 'OPENSEARCH_URL'] as const;
export type ServerVariable = (typeof variables)[number];

/** A proxy before each server, whose connections can vanish without a reset. */
export const swallowing = async (urls: Urls) => {
  const proxies = new Map<ServerVariable, { proxy: TcpProxy; url: string; port: number }>();
  for (const variable of variables) {
    const url = urls[variable];
    if (url === undefined) continue;
    const port = await pickPort(undefined);
    proxies.set(variable, { ...(await TcpProxy.listen(url, port, Math.random)), port });
  }
  return {
    /** The servers' URLs by way of the proxies. */
    urls: Object.fromEntries([...proxies].map(([variable, { url }]) => [variable, url])),
    /** @returns how many connections vanished; all servers where none is named */
    swallow: (...wanted: ServerVariable[]): number =>
      [...proxies]
        .filter(([variable]) => wanted.length === 0 || wanted.includes(variable))
        .reduce((sum, [, { proxy }]) => sum + proxy.swallow(), 0),
    close: async (): Promise<void> => {
      for (const { proxy, port } of proxies.values()) {
        await proxy.close();
        releasePort(port);
      }
    },
  };
};

export type Swallowing = Awaited<ReturnType<typeof swallowing>>;
