import type { BenchMessage } from './messages.ts';

/** 3: the wanted message; 2: nearly; 1: related. */
export type Grade = 1 | 2 | 3;

export type BenchQuery = {
  /** The kind of the query, such as `typos`. Each kind has its own results. */
  kind: string;
  chat: string;
  text: string;
  /** The expected messages, one by one. */
  relevant?: { createdAt: string; sender: string; grade: Grade }[];
  /** Or rules: case-insensitive regular expressions on the sent text. A message has the grade of the first match. */
  rules?: { grade: Grade; pattern: string }[];
};

/**
 * The grade of each relevant message of the query's chat, by number.
 * @throws Error if no message is relevant, because the query does not fit the corpus
 */
export const judge = (query: BenchQuery, chat: readonly BenchMessage[]): Map<number, Grade> => {
  const grades = new Map<number, Grade>();
  const rules = (query.rules ?? []).map(({ grade, pattern }) => ({ grade, fits: new RegExp(pattern, 'iu') }));
  for (const message of chat) {
    const named = query.relevant?.find(
      ({ createdAt, sender }) => createdAt === message.createdAt && sender === message.sender,
    );
    const grade = named?.grade ?? rules.find(({ fits }) => fits.test(message.body))?.grade;
    if (grade !== undefined) grades.set(message.number, grade);
  }
  if (grades.size === 0)
    throw new Error(`Nothing in chat ${query.chat} is relevant to the query "${query.text}"`);
  return grades;
};

export type Quality = { recall: number; reciprocalRank: number; ndcg: number };

const depth = 10;

/** The lowest grade that counts as found for recall and reciprocal rank. */
const found: Grade = 2;

/**
 * Measures one answer, best first.
 * recall@10: the share of the relevant messages among the first ten, or of ten if more are relevant.
 * Reciprocal rank: 1 / place of the first relevant message among the first ten, else 0.
 * nDCG@10: gain 2^grade − 1, discount log2(place + 1), relative to the best possible order.
 */
export const measure = (answer: readonly number[], grades: ReadonlyMap<number, Grade>): Quality => {
  const top = answer.slice(0, depth).map((number) => grades.get(number) ?? 0);
  const relevant = [...grades.values()].filter((grade) => grade >= found).length;
  const first = top.findIndex((grade) => grade >= found);
  const ideal = [...grades.values()].sort((one, other) => other - one).slice(0, depth);
  return {
    recall: top.filter((grade) => grade >= found).length / Math.min(relevant, depth),
    reciprocalRank: first < 0 ? 0 : 1 / (first + 1),
    ndcg: gain(top) / gain(ideal),
  };
};

const gain = (grades: readonly number[]) =>
  grades.reduce((sum, grade, at) => sum + (2 ** grade - 1) / Math.log2(at + 2), 0);

export const mean = (qualities: readonly Quality[]): Quality => {
  const of = (key: keyof Quality) =>
    qualities.reduce((sum, quality) => sum + quality[key], 0) / qualities.length;
  return { recall: of('recall'), reciprocalRank: of('reciprocalRank'), ndcg: of('ndcg') };
};
