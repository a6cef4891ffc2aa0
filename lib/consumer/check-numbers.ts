import { limits } from '#lib/domain/limits.ts';
import type { RecoveryState } from '#lib/mysql/progress.ts';
import type { Counters } from '#lib/redis/gate/counters.ts';

type NumberUses = {
  counters: () => Pick<Counters, 'read'>;
  recoveryState: () => Pick<RecoveryState, 'highestChatNumber' | 'highestMessageNumber'>;
};

/** The numbers that a creation claims. */
type Place = { chatNumber?: number | undefined; messageNumber?: number | undefined };
/** A number and the counter that gives it. */
type Claim = { token: string; chatNumber?: number; number: number };

const isString = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';

/** The claims that need a look at a counter. A counter is never below 0, so smaller numbers need none. */
const claimsOf = (command: object): Claim[] => {
  const { token, chatNumber, messageNumber }: { token?: unknown } & { [Name in keyof Place]?: unknown } =
    command;
  if (!isString(token) || !isNumber(chatNumber)) return [];
  return [
    { token, number: chatNumber },
    ...(isNumber(messageNumber) ? [{ token, chatNumber, number: messageNumber }] : []),
  ].filter(({ number }) => number > limits.numbersAhead);
};

const counterOf = ({ token, chatNumber }: Claim): string => `${token}:${chatNumber ?? ''}`;

/**
 * Returns a function that tells the commands with a number at most a million above its counter from the others. A higher
 * number would use up the numbers of its chat or application, because storing it raises the counter. The counter is that
 * of Redis or, if it is higher or Redis does not know it, that of MySQL.
 * @throws unavailable
 */
export const createNumberCheck = ({ counters, recoveryState }: NumberUses) => {
  const highestInMysql = async ({ token, chatNumber }: Claim): Promise<number> => {
    const highest =
      chatNumber === undefined
        ? await recoveryState().highestChatNumber(token)
        : await recoveryState().highestMessageNumber(token, chatNumber);
    // A command for a deleted parent is dropped, whatever its number.
    return highest === 'deleted' ? Number.POSITIVE_INFINITY : (highest ?? 0);
  };

  /** @returns the claims that are too high */
  const tooHigh = async (claims: readonly Claim[]): Promise<Set<Claim>> => {
    if (claims.length === 0) return new Set();
    const byCounter = [...Map.groupBy(claims, counterOf).values()];
    const heads = byCounter.flatMap(([head]) => (head === undefined ? [] : [head]));
    const counted = await counters().read(heads);
    const refused = await Promise.all(
      byCounter.map(async (group, at) => {
        const count = counted[at];
        const isAbove = (highest: number) => (claim: Claim) => claim.number > highest + limits.numbersAhead;
        const above = group.filter(isAbove(isNumber(count) ? count : 0));
        const [head] = above;
        return head === undefined ? [] : above.filter(isAbove(await highestInMysql(head)));
      }),
    );
    return new Set(refused.flat());
  };

  return async <Item>(
    items: readonly Item[],
    commandOf: (item: Item) => object,
  ): Promise<{ within: Item[]; beyond: Item[] }> => {
    const claims = items.map((item) => claimsOf(commandOf(item)));
    const refused = await tooHigh(claims.flat());
    const { within = [], beyond = [] } = Object.groupBy(items, (_item, at) =>
      claims[at]?.some((claim) => refused.has(claim)) ? 'beyond' : 'within',
    );
    return { within, beyond };
  };
};
