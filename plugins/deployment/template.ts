/** The parts of a CloudFormation template that this plugin reads and sets. */
export type Resource = {
  Type: string;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Properties: Record<string, unknown>;
};
export type Resources = Record<string, Resource>;

export const ofType = (resources: Resources, type: string): Resource[] =>
  Object.values(resources).filter(({ Type }) => Type === type);
