import { describe, expect, it } from 'vitest';
import { chooseJava, majorVersionIn } from '../../../../local/services/java.ts';

describe('majorVersionIn', () => {
  it.each([
    ['JAVA_VERSION="25.0.1"\nJAVA_VERSION_DATE="2025-10-21"', 25],
    ['JAVA_VERSION="21"', 21],
    ['JAVA_VERSION="1.8.0_402"', 8],
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['nothing of the kind', undefined],
  ])('reads %j as %s', (text, major) => {
    expect(majorVersionIn(text)).toBe(major);
  });
});

describe('chooseJava', () => {
  it('takes the first that is new enough', () => {
    const javas = [
      { program: '/17/bin/java', major: 17 },
      { program: '/21/bin/java', major: 21 },
      { program: '/25/bin/java', major: 25 },
    ];
    expect(chooseJava(javas)?.major).toBe(21);
  });

  it('chooses none rather than a version that is too old', () => {
    expect(chooseJava([{ program: '/17/bin/java', major: 17 }])).toBeUndefined();
  });
});
