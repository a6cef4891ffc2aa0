/** Reads the plugin's own section of `serverless.yml`. */

/** What declares a queue that does not exist; without arguments it is a queue of the virtual host's default type. */
export type AutoCreate = { arguments: Record<string, unknown> };

/** The options of the section, checked. */
export type Options = {
  /** The broker of every event whose broker has no URL of its own. */
  url?: URL;
  /** URLs by the ARN, the name, the id or the logical id of a broker. */
  urls: Record<string, URL>;
  /** Undefined if missing queues are waited for. */
  autoCreate?: AutoCreate;
  /** A batch that failed this many times in a row is reported; 0 for never. */
  reportAfterFailures: number;
};

const NAME = 'custom.serverless-offline-rabbitmq';
const OPTIONS = ['url', 'urls', 'enabled', 'autoCreate', 'reportAfterFailures'];
const DEFAULT_REPORT_AFTER_FAILURES = 5;

/**
 * @param section `custom.serverless-offline-rabbitmq`
 * @returns its options, or the reason why no events are consumed
 * @throws RangeError that names every option that cannot be followed, one on each line
 */
export const readSection = (section: unknown): Options | { off: string } => {
  if (section === undefined || section === null) {
    return { off: `${NAME} is missing in serverless.yml; add its url.` };
  }
  if (!isRecord(section)) throw new RangeError(`${NAME} must be a map of options, such as "url: amqp://…".`);
  const refusals: string[] = [];
  const refuse = (refusal: string) => {
    refusals.push(refusal);
    return undefined;
  };
  for (const name of Object.keys(section).filter((name) => !OPTIONS.includes(name))) {
    refuse(`${NAME}.${name} is unknown; the options are ${OPTIONS.join(', ')}.`);
  }
  const enabled = readFlag('enabled', section.enabled, refuse);
  const url = readUrl('url', section.url, refuse);
  const urls = readUrls(section.urls, refuse);
  const autoCreate = readAutoCreate(section.autoCreate, refuse);
  const reportAfterFailures = readCount(section.reportAfterFailures, refuse);
  if (refusals.length > 0) throw new RangeError(refusals.join('\n'));
  if (enabled === false) return { off: `${NAME}.enabled is false.` };
  if (url === undefined && Object.keys(urls).length === 0) return { off: `${NAME}.url is empty.` };
  return {
    ...(url === undefined ? {} : { url }),
    urls,
    ...(autoCreate === undefined ? {} : { autoCreate }),
    reportAfterFailures: reportAfterFailures ?? DEFAULT_REPORT_AFTER_FAILURES,
  };
};

type Refuse = (refusal: string) => undefined;

/** A variable of the environment makes a flag a string. */
const readFlag = (name: string, value: unknown, refuse: Refuse): boolean | undefined => {
  if (isUnset(value)) return undefined;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  return refuse(`${NAME}.${name} must be true or false.`);
};

const readUrl = (name: string, value: unknown, refuse: Refuse): URL | undefined => {
  if (isUnset(value)) return undefined;
  return (
    brokerUrlOf(value) ??
    refuse(
      `${NAME}.${name} must be the URL of a RabbitMQ broker, such as amqp://localhost:5672. ` +
        'Leave it empty to run without RabbitMQ events.',
    )
  );
};

/** Undefined for another protocol, and for a user, a password or a virtual host that cannot be decoded. */
const brokerUrlOf = (value: unknown): URL | undefined => {
  try {
    const url = new URL(String(value));
    decodeURIComponent(url.href);
    return /^amqps?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
};

const readUrls = (value: unknown, refuse: Refuse): Record<string, URL> => {
  if (isUnset(value)) return {};
  if (!isRecord(value)) {
    refuse(`${NAME}.urls must be a map from the name of a broker to its URL.`);
    return {};
  }
  const urls = Object.entries(value).map(([name, url]) => [name, readUrl(`urls.${name}`, url, refuse)]);
  return Object.fromEntries(urls.filter(([, url]) => url !== undefined));
};

const readAutoCreate = (value: unknown, refuse: Refuse): AutoCreate | undefined => {
  if (!isRecord(value)) {
    return readFlag('autoCreate', value, refuse) === true ? { arguments: {} } : undefined;
  }
  const { arguments: given, ...others } = value;
  if (Object.keys(others).length > 0 || !(isUnset(given) || isRecord(given))) {
    return refuse(
      `${NAME}.autoCreate must be true, false, or "arguments:" with the arguments of a durable queue.`,
    );
  }
  return { arguments: isRecord(given) ? given : {} };
};

const readCount = (value: unknown, refuse: Refuse): number | undefined => {
  if (isUnset(value)) return undefined;
  const count = typeof value === 'string' ? Number(value) : value;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0) return count;
  return refuse(`${NAME}.reportAfterFailures must be a whole number; 0 turns the report off.`);
};

const isUnset = (value: unknown): value is undefined | null | '' =>
  value === undefined || value === null || value === '';

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
