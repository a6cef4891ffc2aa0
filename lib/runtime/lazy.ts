/** Makes a service when it is first asked for, once an execution environment. A failed start is not remembered. */
export const lazy = <Service>(make: () => Service): (() => Service) => {
  let made: { service: Service } | undefined;
  return () => {
    made ??= { service: make() };
    return made.service;
  };
};

/** What a function uses, by name, each made when the function first runs. */
export type Providers<Uses> = { [Name in keyof Uses]: () => Uses[Name] };

export const provide = <Uses extends object>(providers: Providers<Uses>): Uses =>
  Object.fromEntries(
    Object.entries<() => unknown>(providers).map(([name, provider]) => [name, provider()]),
  ) as Uses;
