import { describe, expect, it } from 'vitest';
import { checkRoom, describeLoad, estimateLoad } from '../../../bench/load-estimate.ts';

const GB = 1_000_000_000;
const sample = { messages: 20_000, seconds: 4, mysqlBytes: 8_000_000, indexBytes: 10_000_000 };
const folder = '/data';

describe('the estimate of a load', () => {
  it('multiplies the time and the space of the sample', () => {
    expect(estimateLoad(sample, 5_000_000)).toEqual({
      messages: 5_000_000,
      seconds: 1_000,
      mysqlBytes: 2 * GB,
      indexBytes: 2.5 * GB,
    });
  });

  it('names the time and the space of each server', () => {
    expect(describeLoad(estimateLoad(sample, 5_000_000))).toBe(
      '5,000,000 messages: 17 minutes, 2.0 GB for MySQL, 2.5 GB for OpenSearch',
    );
    expect(describeLoad(estimateLoad(sample, 100_000))).toContain('100,000 messages: 20 s');
  });

  it('needs space for a merge of the whole index, and a gigabyte to spare', () => {
    const estimate = estimateLoad(sample, 5_000_000);
    expect(() => checkRoom(estimate, { free: 8 * GB, folder })).not.toThrow();
    expect(() => checkRoom(estimate, { free: 8 * GB - 1, folder })).toThrow('needs 8.0 GB');
  });

  it('names a number of messages that fits', () => {
    const estimate = estimateLoad(sample, 5_000_000);
    expect(() => checkRoom(estimate, { free: 4.5 * GB, folder })).toThrow('--messages 2500000');
    expect(() => checkRoom(estimateLoad(sample, 2_500_000), { free: 4.5 * GB, folder })).not.toThrow();
    expect(() => checkRoom(estimate, { free: GB / 2, folder })).toThrow(/Free some space\.$/);
  });
});
