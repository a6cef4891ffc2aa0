/** All services of this process, loaded once its environment names the servers. */
export const loadServices = async () => ({
  ...(await import('#lib/runtime/services/auth.ts')),
  ...(await import('#lib/runtime/services/mysql.ts')),
  ...(await import('#lib/runtime/services/opensearch.ts')),
  ...(await import('#lib/runtime/services/rabbitmq.ts')),
  ...(await import('#lib/runtime/services/reading.ts')),
  ...(await import('#lib/runtime/services/recovery.ts')),
  ...(await import('#lib/runtime/services/redis.ts')),
  ...(await import('#lib/runtime/services/servers.ts')),
  ...(await import('#lib/runtime/services/settings.ts')),
  ...(await import('#lib/runtime/services/upkeep.ts')),
  ...(await import('#lib/runtime/services/writing.ts')),
});
