import { connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** The faults of the network between functions and a server. With zeros it works perfectly. */
export type Weather = {
  /** The delay of each piece, and the most that chance adds to it. */
  latencyMs: number;
  jitterMs: number;
  /** The chance that a piece, and all later ones, wait for `stallMs`. */
  stallChance: number;
  stallMs: number;
  /** The chance that a piece cuts the connection. */
  resetChance: number;
};

export const fairWeather: Weather = {
  latencyMs: 0,
  jitterMs: 0,
  stallChance: 0,
  stallMs: 0,
  resetChance: 0,
};

/** A TCP proxy on 127.0.0.1 with the faults of its weather. */
export class TcpProxy {
  weather: Weather = fairWeather;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #random: () => number;
  /** Connections that work; each is made to vanish by its function. */
  readonly #vanish = new Map<Socket, () => void>();

  private constructor(target: { host: string; port: number }, random: () => number) {
    this.#random = random;
    this.#server = createServer((downstream) => {
      const upstream = connect(target);
      for (const socket of [downstream, upstream]) {
        socket.setNoDelay(true);
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          // The other end of a vanished connection never learns of it.
          if (!this.#vanish.delete(downstream)) return;
          downstream.destroy();
          upstream.destroy();
        });
      }
      const [there, back] = [this.#delaying(downstream), this.#delaying(downstream)];
      downstream.pipe(there).pipe(upstream);
      upstream.pipe(back).pipe(downstream);
      this.#vanish.set(downstream, () => {
        for (const stream of [downstream, there, upstream, back]) stream.unpipe().resume();
      });
    });
  }

  /** @param url of the server; @returns the proxy and the same URL by way of it */
  static async listen(
    url: string,
    port: number,
    random: () => number,
  ): Promise<{ proxy: TcpProxy; url: string }> {
    const target = new URL(url);
    const proxy = new TcpProxy({ host: target.hostname, port: Number(target.port) }, random);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, '127.0.0.1', resolve);
    });
    target.port = String(port);
    return { proxy, url: target.href.replace(/\/$/, '') };
  }

  /**
   * Makes every current connection vanish: no data pass through it any more, and its end does not either. New connections
   * follow the weather.
   * @returns the number of vanished connections
   */
  swallow(): number {
    const vanishing = [...this.#vanish.values()];
    this.#vanish.clear();
    for (const vanish of vanishing) vanish();
    return vanishing.length;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #delaying(socket: Socket): Transform {
    return new Transform({
      transform: (chunk, _encoding, done) => {
        const { latencyMs, jitterMs, stallChance, stallMs, resetChance } = this.weather;
        if (this.#random() < resetChance) {
          socket.resetAndDestroy();
          return done();
        }
        const ms = latencyMs + this.#random() * jitterMs + (this.#random() < stallChance ? stallMs : 0);
        if (ms === 0) done(null, chunk);
        else setTimeout(() => done(null, chunk), ms);
      },
    });
  }
}
