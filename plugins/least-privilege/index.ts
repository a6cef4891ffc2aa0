import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contradictionsIn, type Marks, marksSchema } from './marks.ts';
import { addSources } from './permissions.ts';
import { capitalized, getAtt, type Resource, roleFor } from './role.ts';

/** The permissions of a function whose bundle contains a module; see `custom.grants` in serverless.yml. */
type Grant = {
  /** Logical ids of secrets, by the settings that they hold. */
  secrets?: Record<string, string>;
  /** A value may be a function of CloudFormation. */
  environment?: Record<string, string | number | object>;
  securityGroups?: string[];
};
type Event = { rabbitmq?: object };
type FunctionObject = Marks & {
  name: string;
  handler: string;
  role?: string;
  environment?: Record<string, unknown>;
  events?: Event[];
  vpc?: { securityGroupIds: object[]; subnetIds: object[] };
};
/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  serviceDir: string;
  service: {
    functions: Record<string, FunctionObject>;
    custom: { grants: Record<string, Grant>; securityGroups?: Record<string, string[]> };
    provider: { compiledCloudFormationTemplate: { Resources: Record<string, Resource> } };
  };
  getProvider(name: 'aws'): { getStage(): string };
  configSchemaHandler: { defineFunctionProperties(provider: 'aws', schema: object): void };
  classes: { Error: new (message: string, code: string) => Error };
};

const roleOf = (key: string) => `${capitalized(key)}Role`;

/**
 * Gives each function its own role, environment and security groups. They contain the grants of the modules in its
 * bundle, and nothing else. A function that is marked with `internet: true` stays outside the VPC.
 *
 * @throws Error if no bundle contains the module of a grant. After a move, its functions would lose their permissions.
 * @throws Error if the marks of a function contradict each other or its bundle
 * @throws Error if a permission to invoke a function names no source
 */
export default class LeastPrivilege {
  readonly hooks: Record<string, () => void>;
  readonly #serverless: Serverless;

  constructor(serverless: Serverless) {
    this.#serverless = serverless;
    serverless.configSchemaHandler.defineFunctionProperties('aws', marksSchema);
    this.hooks = {
      // osls creates one role for all functions unless each names its own. The roles are created once the bundles exist.
      // To its own role osls would also add the connections of every WebSocket API.
      'before:package:setupProviderConfiguration': () => {
        for (const [key, definition] of this.#functions) definition.role = roleOf(key);
      },
      'before:package:compileFunctions': () => this.#grant(),
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.#limitCallers(),
    };
  }

  get #functions() {
    return Object.entries(this.#serverless.service.functions);
  }

  get #resources() {
    return this.#serverless.service.provider.compiledCloudFormationTemplate.Resources;
  }

  #refuse(faults: string[], code: string): void {
    if (faults.length === 0) return;
    throw new this.#serverless.classes.Error(`serverless.yml: ${faults.join('\n')}`, code);
  }

  #grant(): void {
    const { serviceDir, service } = this.#serverless;
    const contents: Record<string, string[]> = JSON.parse(
      readFileSync(join(serviceDir, 'dist/package/contents.json'), 'utf8'),
    );
    const { grants } = service.custom;
    const unused = Object.keys(grants).filter((module) =>
      Object.values(contents).every((modules) => !modules.includes(module)),
    );
    if (unused.length > 0) {
      const fault = `custom.grants names modules that no function holds: ${unused.join(', ')}. Correct their paths.`;
      this.#refuse([fault], 'GRANT_OF_NO_MODULE');
    }
    for (const [key, definition] of this.#functions) {
      const modules = contents[definition.handler.replace(/\.handler$/, '.mjs')] ?? [];
      this.#grantFunction(
        key,
        definition,
        modules.filter((module) => module in grants),
      );
    }
  }

  #grantFunction(key: string, definition: FunctionObject, modules: string[]): void {
    const { grants, securityGroups = {} } = this.#serverless.service.custom;
    const isPrivate = (module: string) => grants[module]?.secrets ?? grants[module]?.securityGroups;
    this.#refuse(
      contradictionsIn(key, definition, new Set(this.#functions.map(([other]) => other)), {
        privateModules: modules.filter(isPrivate),
      }),
      'FUNCTION_MARKS',
    );
    const granted = modules.flatMap((module) => grants[module] ?? []);
    const secrets: Record<string, string> = Object.assign({}, ...granted.map((grant) => grant.secrets ?? {}));
    definition.environment = environmentOf(granted, secrets);
    if (!definition.internet) {
      definition.vpc = {
        subnetIds: [{ Ref: 'SubnetA' }, { Ref: 'SubnetB' }],
        securityGroupIds: [
          ...(securityGroups[key] ?? ['FunctionGroup']),
          ...new Set(granted.flatMap((grant) => grant.securityGroups ?? [])),
        ].map((group) => getAtt(group, 'GroupId')),
      };
    }
    this.#resources[roleOf(key)] = roleFor({
      key,
      name: definition.name,
      isInVpc: !definition.internet,
      secrets: Object.values(secrets),
      isConsumer: definition.events?.some(({ rabbitmq }) => rabbitmq !== undefined) ?? false,
      invokes: this.#functions
        .filter(([, { callers = [] }]) => callers.includes(key))
        .map(([, { name }]) => name),
      postsToStage: definition.postsToConnections
        ? this.#serverless.getProvider('aws').getStage()
        : undefined,
    });
  }

  #limitCallers(): void {
    this.#refuse(
      addSources(this.#resources).map(
        (id) => `The permission ${id} lets a service invoke a function from everywhere. Give it a SourceArn.`,
      ),
      'PERMISSION_OF_NO_SOURCE',
    );
    for (const [key, { internet }] of this.#functions) {
      const compiled = this.#resources[`${capitalized(key)}LambdaFunction`];
      if (internet && compiled !== undefined) compiled.Metadata = { ...compiled.Metadata, ...outsideVpc };
    }
  }
}

const outsideVpc = {
  checkov: {
    skip: [{ id: 'CKV_AWS_117', comment: 'The function speaks to the internet, and holds no secret.' }],
  },
};

const environmentOf = (granted: Grant[], secrets: Record<string, string>): Record<string, unknown> => ({
  ...Object.fromEntries(
    granted.flatMap(({ environment = {} }) =>
      Object.entries(environment).map(([name, value]) => [
        name,
        typeof value === 'object' ? value : String(value),
      ]),
    ),
  ),
  ...Object.fromEntries(Object.entries(secrets).map(([name, id]) => [`SECRET_ARN_${name}`, { Ref: id }])),
});
