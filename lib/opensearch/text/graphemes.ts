const segmenter = new Intl.Segmenter('und', { granularity: 'grapheme' });

/** Text whose visible signs are one character each. */
const plain = /^[\n -~]*$/;

/** Moves a place in a text, in UTF-16 units, to the border of the visible sign that it would split. */
export type Graphemes = {
  startOf(place: number): number;
  endOf(place: number): number;
};

export const graphemesOf = (text: string): Graphemes => {
  if (plain.test(text)) return { startOf: (place) => place, endOf: (place) => place };
  const segments = segmenter.segment(text);
  return {
    startOf: (place) => segments.containing(place)?.index ?? place,
    endOf: (place) => {
      const sign = segments.containing(place);
      return sign === undefined || sign.index === place ? place : sign.index + sign.segment.length;
    },
  };
};
