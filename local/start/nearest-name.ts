/** The number of single characters to insert, remove or replace between two texts (Levenshtein). */
const distanceBetween = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const above = row;
    row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
  }
  return row[b.length] ?? 0;
};

/**
 * Finds the known name that a mistyped one probably means, whatever their case.
 * @param most characters that may differ; a third of the name if absent
 */
export const findNearestName = (
  name: string,
  known: readonly string[],
  most = Math.floor(name.length / 3),
): string | undefined =>
  known
    .map((one) => ({ one, distance: distanceBetween(name.toUpperCase(), one) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance)[0]?.one;
