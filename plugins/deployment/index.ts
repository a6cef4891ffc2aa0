import { checkQuota, ensureSearchRole, findOutput } from './account.ts';
import { completeTemplate } from './order.ts';
import { protectDatabase } from './protection.ts';
import { applySnapshots } from './snapshots.ts';
import type { Resources } from './template.ts';

/** The parts of osls that this plugin reads and sets. */
type Serverless = {
  service: {
    functions: Record<string, { reservedConcurrency?: number }>;
    provider: { compiledCloudFormationTemplate: { Resources: Resources } };
    custom: {
      zones: string;
      deployment: { isProtected: boolean; migrates: boolean; secretsDeletion: string };
    };
  };
  getProvider(name: 'aws'): {
    getAwsSdkV3Config(): Promise<object>;
    naming: { getStackName(): string };
  };
  classes: { Error: new (message: string, code: string) => Error };
};
type Log = { notice(text: string): void };

/** Completes the template, checks the account before a deploy, and protects the database after it. */
export default class Deployment {
  readonly hooks: Record<string, () => Promise<void> | void>;
  readonly #serverless: Serverless;
  readonly #log: Log;
  #isDeployed = false;

  constructor(serverless: Serverless, _options: object, { log }: { log: Log }) {
    this.#serverless = serverless;
    this.#log = log;
    this.hooks = {
      'after:aws:package:finalize:mergeCustomProviderResources': () => this.#complete(),
      'before:deploy:deploy': () => this.#prepareAccount(),
      'after:deploy:deploy': () => this.#protect(),
      finalize: () => this.#nameSocketUrl(),
      'after:remove:remove': () => this.#sayWhatIsKept(),
    };
  }

  get #settings() {
    return this.#serverless.service.custom.deployment;
  }

  get #resources(): Resources {
    return this.#serverless.service.provider.compiledCloudFormationTemplate.Resources;
  }

  get #aws() {
    return this.#serverless.getProvider('aws');
  }

  #fail(message: string, code: string): Error {
    return new this.#serverless.classes.Error(message, code);
  }

  #complete(): void {
    const { zones } = this.#serverless.service.custom;
    const [first, second, ...more] = zones.split(',');
    const isPair = first !== second && more.length === 0;
    if (!isPair || ![first, second].every((zone) => /^[a-z]+\d+-az\d+$/.test(zone ?? ''))) {
      throw this.#fail(
        `serverless.yml: "${zones}" are not the ids of two zones. Add the region to custom.zonesOfRegions, or pass a pair: --param="ZONES=euw1-az1,euw1-az2".`,
        'NO_PAIR_OF_ZONES',
      );
    }
    completeTemplate(this.#resources, { migrate: this.#settings.migrates });
    applySnapshots(this.#resources);
  }

  async #prepareAccount(): Promise<void> {
    const config = await this.#aws.getAwsSdkV3Config();
    const reserved = Object.values(this.#serverless.service.functions).reduce(
      (sum, { reservedConcurrency = 0 }) => sum + reservedConcurrency,
      0,
    );
    const stackName = this.#aws.naming.getStackName();
    const refusal = await checkQuota(config, { reserved, stackName });
    if (refusal !== undefined) throw this.#fail(refusal, 'CONCURRENCY_QUOTA');
    await ensureSearchRole(config);
  }

  /** Runs once the stack is complete. osls protects the stack itself by `provider.deletionProtection`. */
  async #protect(): Promise<void> {
    const stackName = this.#aws.naming.getStackName();
    const { isProtected } = this.#settings;
    this.#isDeployed = true;
    try {
      await protectDatabase(await this.#aws.getAwsSdkV3Config(), this.#resources, stackName, isProtected);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw this.#fail(
        `The stack ${stackName} is deployed, but the deletion protection of its database was not set to ${isProtected}: ${reason} Deploy again, or set it by "aws rds modify-db-cluster" (dev: "modify-db-instance").`,
        'DATABASE_PROTECTION',
      );
    }
  }

  /** The last line of a deploy. */
  async #nameSocketUrl(): Promise<void> {
    if (!this.#isDeployed) return;
    const url = await findOutput(
      await this.#aws.getAwsSdkV3Config(),
      this.#aws.naming.getStackName(),
      'SocketUrl',
    );
    if (url !== undefined) this.#log.notice(`SocketUrl: ${url}`);
  }

  #sayWhatIsKept(): void {
    const secrets = this.#settings.secretsDeletion === 'Delete' ? '' : ' and the secrets';
    this.#log.notice(
      `Kept: the final snapshots of MySQL and Redis, the KMS key that they are encrypted with${secrets}. docs/operations.md, "Remove", says how to restore or delete them.`,
    );
  }
}
