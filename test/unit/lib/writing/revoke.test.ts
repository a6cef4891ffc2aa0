import { expect, it } from 'vitest';
import { createRevoke } from '#lib/writing/revoke.ts';

const revoke = async (answer: 'open' | 'closed') => {
  let asked = 0;
  const outcome = await createRevoke({
    generations: { raise: async () => answer },
    askForRecovery: () => {
      asked += 1;
    },
  })({ id: 7, generation: 3 }).then(
    () => 'revoked',
    (error) => error.code,
  );
  return [outcome, asked];
};

it('is known everywhere once Redis has the generation', async () => {
  expect(await revoke('open')).toEqual(['revoked', 0]);
});

it('asks for a recovery while the gate is closed, since perhaps nobody writes', async () => {
  expect(await revoke('closed')).toEqual(['unavailable', 1]);
});
