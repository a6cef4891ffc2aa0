import { ofType, type Resources } from './template.ts';

/**
 * A property that names a snapshot, and those that a server then inherits from it. CloudFormation refuses the latter
 * beside the former.
 */
const restores: Record<string, { from: string; inherited: string[] }> = {
  'AWS::RDS::DBInstance': {
    from: 'DBSnapshotIdentifier',
    inherited: ['DBName', 'MasterUsername', 'StorageEncrypted', 'KmsKeyId'],
  },
  'AWS::RDS::DBCluster': {
    from: 'SnapshotIdentifier',
    inherited: ['DatabaseName', 'MasterUsername', 'StorageEncrypted', 'KmsKeyId'],
  },
  'AWS::MemoryDB::Cluster': { from: 'SnapshotName', inherited: [] },
};

/** Creates servers from the snapshots that the template names, and empty ones where it names none. */
export const applySnapshots = (resources: Resources): void => {
  for (const [type, { from, inherited }] of Object.entries(restores)) {
    for (const { Properties } of ofType(resources, type)) {
      const dropped = Properties[from] === '' ? [from] : Properties[from] === undefined ? [] : inherited;
      for (const name of dropped) delete Properties[name];
    }
  }
};
