import { checkQuota, createServiceLinkedRoles } from './account.ts';
import { explainMissingAccessLogs } from './websocket-stages.ts';

type Resource = {
  Type: string;
  DependsOn?: string | string[];
  DeletionPolicy?: string;
  Properties: Record<string, unknown>;
};
/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  service: {
    functions: Record<string, { reservedConcurrency?: number }>;
    provider: { compiledCloudFormationTemplate: { Resources: Record<string, Resource> } };
  };
  getProvider(name: 'aws'): { getAwsSdkV3Config(): Promise<object>; getStage(): string };
  classes: { Error: new (message: string, code: string) => Error };
};
type Log = { notice(text: string): void };

const MIGRATION = 'Migration';
const isOf = (type: string) => (entry: [string, Resource]) => entry[1].Type === type;

/**
 * Sets the order of a deploy, and checks the account before it.
 *
 * `migrate` runs as a custom resource: after the servers exist, and before any other function or event source mapping is
 * created or updated. So a failed migration leaves the previous version running.
 */
export default class Deployment {
  readonly hooks: Record<string, () => Promise<void> | void>;
  readonly #serverless: Serverless;
  readonly #log: Log;

  constructor(serverless: Serverless, _options: object, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#log = log;
    this.hooks = {
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.#order(),
      'before:deploy:deploy': () => this.#prepareAccount(),
      'before:remove:remove': () => this.#sayWhatIsKept(),
      'after:remove:remove': () => this.#sayWhatIsKept(),
    };
  }

  get #resources(): Record<string, Resource> {
    return this.#serverless.service.provider.compiledCloudFormationTemplate.Resources;
  }

  #order(): void {
    const resources = this.#resources;
    const migration = resources[MIGRATION];
    const migrate = resources.MigrateLambdaFunction;
    if (migration === undefined || migrate === undefined) return;
    // The value changes at each deploy, so CloudFormation runs the migration each time.
    migration.Properties.Deployment = new Date().toISOString();
    for (const [, resource] of Object.entries(resources).filter(isOf('AWS::Lambda::Function'))) {
      if (resource !== migrate) addDependency(resource, MIGRATION);
    }
    for (const [, mapping] of Object.entries(resources).filter(isOf('AWS::Lambda::EventSourceMapping'))) {
      addDependency(mapping, MIGRATION);
      // osls accepts no reference as a broker's ARN. It also drops a window of 0, and the default is 500 ms.
      mapping.Properties.EventSourceArn = { 'Fn::GetAtt': ['Broker', 'Arn'] };
      mapping.Properties.MaximumBatchingWindowInSeconds ??= 0;
    }
    for (const [, rule] of Object.entries(resources).filter(isOf('AWS::Events::Rule'))) {
      // The next run makes up for one that could not start.
      const targets = rule.Properties.Targets;
      if (!Array.isArray(targets)) continue;
      for (const target of targets) {
        target.RetryPolicy = { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 };
      }
    }
    for (const [, group] of Object.entries(resources).filter(isOf('AWS::Logs::LogGroup'))) {
      group.Properties.KmsKeyId ??= { 'Fn::GetAtt': ['Key', 'Arn'] };
    }
    explainMissingAccessLogs(resources);
    this.#dropImpliedDependencies();
  }

  /** A reference already makes CloudFormation wait, and cfn-lint warns about a repeated dependency. */
  #dropImpliedDependencies(): void {
    for (const resource of Object.values(this.#resources)) {
      if (resource.DependsOn === undefined) continue;
      const references = JSON.stringify(resource.Properties);
      const isImplied = (id: string) =>
        references.includes(`{"Ref":"${id}"}`) || references.includes(`{"Fn::GetAtt":["${id}",`);
      const kept = [resource.DependsOn].flat().filter((id) => !isImplied(id));
      if (kept.length > 0) resource.DependsOn = kept;
      else delete resource.DependsOn;
    }
  }

  async #prepareAccount(): Promise<void> {
    const config = await this.#serverless.getProvider('aws').getAwsSdkV3Config();
    const reserved = Object.values(this.#serverless.service.functions).reduce(
      (sum, { reservedConcurrency = 0 }) => sum + reservedConcurrency,
      0,
    );
    const refusal = await checkQuota(config, reserved);
    if (refusal !== undefined) throw new this.#serverless.classes.Error(refusal, 'CONCURRENCY_QUOTA');
    await createServiceLinkedRoles(config);
  }

  #sayWhatIsKept(): void {
    const stage = this.#serverless.getProvider('aws').getStage();
    this.#log.notice(
      `Removing a stage keeps its data: final snapshots of MySQL and Redis, the KMS key that they are encrypted with, and in prod the Redis cluster and the search domain themselves. docs/operations.md, "Remove", says how to delete them. Stage: ${stage}.`,
    );
  }
}

const addDependency = (resource: Resource, id: string): void => {
  const before = resource.DependsOn ?? [];
  resource.DependsOn = [...(typeof before === 'string' ? [before] : before), id];
};
