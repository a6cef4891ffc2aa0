import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unzipSync, zipSync } from 'fflate';
import { packageFolder, type Template } from '../../support/packages.ts';

type State = {
  service: { provider: { compiledCloudFormationTemplate: Template } };
  package: { artifactDirectoryName: string };
};
/** A package as `sls deploy --package` takes it. */
export type Version = {
  number: number;
  folder: string;
  /** As `sls rollback --timestamp` takes it, and `sls deploy list` shows it. */
  timestamp: string;
};

const templateFile = 'cloudformation-template-update-stack.json';
const stateFile = 'serverless-state.json';

/** Changes a JSON file. `from` is text of it, and becomes `to` everywhere. */
const edit = <Content>(file: string, from: string, to: string, change: (content: Content) => void): void => {
  const content: Content = JSON.parse(readFileSync(file, 'utf8').replaceAll(from, to));
  change(content);
  writeFileSync(file, JSON.stringify(content));
};

/**
 * The packaged stage as a later version of it: packaged at another time, with the number in the description of each function.
 *
 * @param name of the package
 * @param into the folder of all versions
 * @param migration a statement that the version's `migrate` has besides the released ones
 * @param change another change of its template
 */
export const createVersion = (
  name: Parameters<typeof packageFolder>[0],
  number: number,
  {
    into,
    migration,
    change,
  }: { into: string; migration?: string; change?: (resources: Template['Resources']) => void },
): Version => {
  const folder = join(into, `${name}-${number}${migration === undefined ? '' : '-failing'}`);
  rmSync(folder, { recursive: true, force: true });
  cpSync(packageFolder(name), folder, { recursive: true });
  const { artifactDirectoryName }: State['package'] = JSON.parse(
    readFileSync(join(folder, stateFile), 'utf8'),
  ).package;
  const packagedAt = new Date();
  const timestamp = String(packagedAt.getTime());
  const directory = `${artifactDirectoryName.replace(/[^/]+$/, '')}${timestamp}-${packagedAt.toISOString()}`;
  const renew = ({ Resources }: Template) => {
    for (const { Type, Properties } of Object.values(Resources)) {
      if (Type === 'AWS::Lambda::Function') Properties.Description = `version ${number}`;
      if (Type === 'Custom::Migration') Properties.Deployment = packagedAt.toISOString();
    }
    change?.(Resources);
  };
  edit<Template>(join(folder, templateFile), artifactDirectoryName, directory, renew);
  edit<State>(join(folder, stateFile), artifactDirectoryName, directory, ({ service }) =>
    renew(service.provider.compiledCloudFormationTemplate),
  );
  if (migration !== undefined) {
    const archive = join(folder, 'migrate.zip');
    const files = unzipSync(readFileSync(archive));
    writeFileSync(
      archive,
      zipSync({ ...files, 'migrations/9999_of_a_test.sql': new TextEncoder().encode(migration) }),
    );
  }
  return { number, folder, timestamp };
};
