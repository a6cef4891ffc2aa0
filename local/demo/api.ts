import { Agent, request as requestHttp } from 'node:http';
import { request as requestHttps, Agent as SecureAgent } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure, messageOf } from '../services/index.ts';

const answerWithinMs = 30_000;
/** Longer than a recovery of the counters. */
const retryForMs = 180_000;
const retryable = new Set([429, 502, 503, 504]);

export type Answer = {
  status: number;
  link: string | undefined;
  retryAfter: string | undefined;
  text: string;
};

export type Call = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  authorization?: string;
  idempotencyKey?: string;
  body?: object;
};

export type Api = {
  /**
   * Sends a request until the answer is 200. It repeats after a 429, a 503 or no answer. A POST has an
   * `Idempotency-Key`, so that a repeated request creates nothing twice.
   * @throws Failure for every other answer, and after three minutes
   */
  call: (wanted: Call) => Promise<Answer>;
  /** Sends a request once. @returns any answer. @throws if there is none */
  once: (wanted: Call) => Promise<Answer>;
  /** Number of repeated requests. */
  retries: () => number;
  close: () => void;
};

/** Node's HTTP client: `fetch` takes much more processor time at some hundred requests a second. */
export const connectApi = (base: URL, connections: number): Api => {
  const secure = base.protocol === 'https:';
  const agent = new (secure ? SecureAgent : Agent)({ keepAlive: true, maxSockets: connections });
  let retries = 0;

  const once = ({ method, path, authorization, idempotencyKey, body }: Call): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const sent = (secure ? requestHttps : requestHttp)(
        new URL(`${base.pathname.replace(/\/$/, '')}${path}`, base),
        {
          method,
          agent,
          timeout: answerWithinMs,
          headers: {
            ...(authorization === undefined ? {} : { authorization }),
            ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
            ...(content === undefined
              ? { 'content-length': 0 }
              : { 'content-type': 'application/json', 'content-length': content.length }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const { link, 'retry-after': retryAfter } = response.headers;
            resolve({
              status: response.statusCode ?? 0,
              link: Array.isArray(link) ? link.join(', ') : link,
              retryAfter,
              text: Buffer.concat(chunks).toString('utf8'),
            });
          });
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerWithinMs / 1000} s`)));
      sent.on('error', reject);
      sent.end(content);
    });

  const call = async (wanted: Call): Promise<Answer> => {
    const what = `${wanted.method} ${wanted.path}`;
    const deadline = performance.now() + retryForMs;
    for (let attempt = 0; ; attempt += 1) {
      let last: string;
      let waitMs = Math.min(100 * 2 ** attempt, 5_000);
      try {
        const answer = await once(wanted);
        if (answer.status === 200) return answer;
        last = `${answer.status} ${answer.text}`;
        if (!retryable.has(answer.status)) throw new Failure(`${what} was answered ${last}`);
        waitMs = Number(answer.retryAfter ?? 0) * 1000 || waitMs;
      } catch (error) {
        if (error instanceof Failure) throw error;
        last = messageOf(error);
      }
      if (performance.now() + waitMs > deadline) {
        const limited = last.startsWith('429 ')
          ? ' Raise the limit of the API: docs/security.md, "Rate limits".'
          : '';
        throw new Failure(
          `${what} was not answered in ${retryForMs / 1000} s of trying; at last: ${last}${limited}`,
        );
      }
      retries += 1;
      await delay(waitMs);
    }
  };

  return { call, once, retries: () => retries, close: () => agent.destroy() };
};
