import { expect, it } from 'vitest';
import { createRevoke } from '#lib/writing/revoke.ts';

const revoke = async (answer: 'open' | 'closed') => {
  let asked = 0;
  const closed: string[] = [];
  const outcome = await createRevoke({
    generations: { raise: async () => ({ gate: answer, ended: ['one', 'two'] }) },
    closeConnections: async (ids) => {
      closed.push(...ids);
    },
    askForRecovery: () => {
      asked += 1;
    },
  })({ id: 7, generation: 3 }).then(
    () => 'revoked',
    (error) => error.code,
  );
  return [outcome, asked, closed];
};

/** They get no event any more, whatever the gate says. */
const closed = ['one', 'two'];

it('is known everywhere once Redis has the generation', async () => {
  expect(await revoke('open')).toEqual(['revoked', 0, closed]);
});

it('asks for a recovery while the gate is closed, since perhaps nobody writes', async () => {
  expect(await revoke('closed')).toEqual(['unavailable', 1, closed]);
});
