import { ModifyDBClusterCommand, ModifyDBInstanceCommand, RDSClient } from '@aws-sdk/client-rds';
import type { Resources } from './template.ts';

/**
 * Sets the deletion protection of the stack's database. The template does not contain it, because a protected database
 * stops the rollback of a failed first deploy.
 *
 * @param identifier of the database: the name of the stack
 */
export const protectDatabase = async (
  config: object,
  resources: Resources,
  identifier: string,
  isProtected: boolean,
): Promise<void> => {
  const types = new Set(Object.values(resources).map(({ Type }) => Type));
  const client = new RDSClient(config);
  if (types.has('AWS::RDS::DBCluster')) {
    await client.send(
      new ModifyDBClusterCommand({ DBClusterIdentifier: identifier, DeletionProtection: isProtected }),
    );
  } else if (types.has('AWS::RDS::DBInstance')) {
    await client.send(
      new ModifyDBInstanceCommand({ DBInstanceIdentifier: identifier, DeletionProtection: isProtected }),
    );
  }
};
