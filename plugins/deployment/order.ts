import { ofType, type Resource, type Resources } from './template.ts';
import { explainMissingAccessLogs } from './websocket-stages.ts';

const MIGRATION = 'Migration';

const addDependency = (resource: Resource, id: string): void => {
  resource.DependsOn = [resource.DependsOn ?? [], id].flat();
};

/**
 * Runs `migrate` as a custom resource: after the servers exist, and before any other function or event source mapping is
 * created or updated. So a failed migration leaves the previous version running.
 */
const migrateFirst = (resources: Resources): void => {
  const migration = resources[MIGRATION];
  const migrate = resources.MigrateLambdaFunction;
  if (migration === undefined || migrate === undefined) return;
  // The value changes at each deploy, so CloudFormation runs the migration each time.
  migration.Properties.Deployment = new Date().toISOString();
  const later = [
    ...ofType(resources, 'AWS::Lambda::Function').filter((resource) => resource !== migrate),
    ...ofType(resources, 'AWS::Lambda::EventSourceMapping'),
  ];
  for (const resource of later) addDependency(resource, MIGRATION);
};

const completeMappings = (resources: Resources): void => {
  for (const { Properties } of ofType(resources, 'AWS::Lambda::EventSourceMapping')) {
    // osls accepts no reference as a broker's ARN. It also drops a window of 0, and the default is 500 ms.
    Properties.EventSourceArn = { 'Fn::GetAtt': ['Broker', 'Arn'] };
    Properties.MaximumBatchingWindowInSeconds ??= 0;
  }
};

/** Drops a run that could not start, since the next one makes up for it. */
const completeSchedules = (resources: Resources): void => {
  for (const { Properties } of ofType(resources, 'AWS::Events::Rule')) {
    if (!Array.isArray(Properties.Targets)) continue;
    for (const target of Properties.Targets) {
      target.RetryPolicy = { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 };
    }
  }
};

const encryptLogs = (resources: Resources): void => {
  for (const { Properties } of ofType(resources, 'AWS::Logs::LogGroup')) {
    Properties.KmsKeyId ??= { 'Fn::GetAtt': ['Key', 'Arn'] };
  }
};

/** A reference already makes CloudFormation wait, and cfn-lint warns about a repeated dependency. */
const dropImpliedDependencies = (resources: Resources): void => {
  for (const resource of Object.values(resources)) {
    if (resource.DependsOn === undefined) continue;
    const references = JSON.stringify(resource.Properties);
    const isImplied = (id: string) =>
      references.includes(`{"Ref":"${id}"}`) || references.includes(`{"Fn::GetAtt":["${id}",`);
    const kept = [resource.DependsOn].flat().filter((id) => !isImplied(id));
    if (kept.length > 0) resource.DependsOn = kept;
    else delete resource.DependsOn;
  }
};

/**
 * Completes the template and sets its order.
 *
 * @param migrate false for a deploy that needs no server: CloudFormation then removes the custom resource, which calls
 * `migrate` once without running it. The next deploy creates it again.
 */
export const completeTemplate = (resources: Resources, { migrate }: { migrate: boolean }): void => {
  if (migrate) migrateFirst(resources);
  else delete resources[MIGRATION];
  completeMappings(resources);
  completeSchedules(resources);
  encryptLogs(resources);
  explainMissingAccessLogs(resources);
  dropImpliedDependencies(resources);
};
