/** Marks of a function in serverless.yml, beside the properties that osls has. */
export type Marks = {
  /** Runs outside the VPC, where it reaches the internet, and nothing of ours: it has no secrets and no servers. */
  internet?: boolean;
  /** The only functions that may invoke it. It has no event. */
  callers?: string[];
  /** May post to the connections of the WebSocket API, and close them. */
  postsToConnections?: boolean;
};

/** The schema of {@link Marks}, for osls. */
export const marksSchema = {
  properties: {
    internet: { type: 'boolean' },
    callers: { type: 'array', items: { type: 'string' } },
    postsToConnections: { type: 'boolean' },
  },
};

type Marked = Marks & { events?: object[] };
/** Modules of a function's bundle that give it a secret or a server. */
type Holdings = { privateModules: string[] };

/** @returns the contradictions in the marks of one function, each as a sentence for an error */
export const contradictionsIn = (
  key: string,
  { internet, callers, postsToConnections, events = [] }: Marked,
  keys: ReadonlySet<string>,
  { privateModules }: Holdings,
): string[] => [
  ...(internet && privateModules.length > 0
    ? [
        `"${key}" speaks to the internet, and its bundle holds ${privateModules.join(', ')}, which need secrets or servers. Hand it the data in its event instead.`,
      ]
    : []),
  ...(internet && !callers?.length
    ? [`"${key}" speaks to the internet. Name the functions that may invoke it: callers.`]
    : []),
  ...(callers !== undefined && events.length > 0
    ? [`"${key}" has callers and events. Remove one of them: only its callers may invoke it.`]
    : []),
  ...(callers ?? [])
    .filter((caller) => !keys.has(caller))
    .map((caller) => `"${key}" names the caller "${caller}", which is no function. Correct its name.`),
  ...(postsToConnections && !internet
    ? [
        `"${key}" posts to connections, which it cannot reach from the VPC. Mark it with internet: true, and let a function in the VPC invoke it.`,
      ]
    : []),
];
