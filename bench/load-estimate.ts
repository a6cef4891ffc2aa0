import { Failure } from '../local/services/index.ts';

/** Time and disk space that loaded messages took, or will take. */
export type Load = { messages: number; seconds: number; mysqlBytes: number; indexBytes: number };

/** What `messages` more will take at the rate of the sample. */
export const estimateLoad = (sample: Load, messages: number): Load => {
  const factor = messages / sample.messages;
  return {
    messages,
    seconds: sample.seconds * factor,
    mysqlBytes: sample.mysqlBytes * factor,
    indexBytes: sample.indexBytes * factor,
  };
};

const GB = 1_000_000_000;
/** For logs, and for the other servers of the bench. */
const SPARE_BYTES = GB;
const gigabytes = (bytes: number) => `${(bytes / GB).toFixed(1)} GB`;

/** The time and the disk space of a load, in words. */
export const describeLoad = ({ messages, seconds, mysqlBytes, indexBytes }: Load): string => {
  const time = seconds < 120 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} minutes`;
  return `${messages.toLocaleString('en')} messages: ${time}, ${gigabytes(mysqlBytes)} for MySQL, ${gigabytes(indexBytes)} for OpenSearch`;
};

/** OpenSearch needs its space twice, because a merge keeps the old segments until the new one is complete. */
const neededBytes = ({ mysqlBytes, indexBytes }: Load): number => mysqlBytes + 2 * indexBytes + SPARE_BYTES;

/** @throws Failure if the disk has too little space, with the number of messages that fit */
export const checkRoom = (estimate: Load, { free, folder }: { free: number; folder: string }): void => {
  const needed = neededBytes(estimate);
  if (needed <= free) return;
  const perMessage = (needed - SPARE_BYTES) / estimate.messages;
  const fitting = Math.floor(Math.max(0, free - SPARE_BYTES) / perMessage / 10_000) * 10_000;
  const fewer = fitting > 0 ? `, or load fewer messages: --messages ${fitting}` : '';
  throw new Failure(
    `The load needs ${gigabytes(needed)}, merges included, and the disk of ${folder} has ${gigabytes(free)}. Free some space${fewer}.`,
  );
};
