/** True if `word` begins with `beginning`, with at most one letter wrong, missing, added or swapped. */
export const almostBegins = (word: string, beginning: string): boolean => {
  let same = 0;
  while (same < beginning.length && word[same] === beginning[same]) same += 1;
  const rest = beginning.slice(same + 1);
  const swapped = word[same] === beginning[same + 1] && word[same + 1] === beginning[same];
  return (
    word.startsWith(rest, same + 1) ||
    word.startsWith(rest, same) ||
    word.startsWith(beginning.slice(same), same + 1) ||
    (swapped && word.startsWith(beginning.slice(same + 2), same + 2))
  );
};
