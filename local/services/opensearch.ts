import { join } from 'node:path';
import { makeFolder, writePrivate } from './folders.ts';
import type { Java } from './java.ts';
import { nameOfFolder, type Place, type Program } from './program.ts';

/** The version that this project downloads. */
export const openSearchVersion = '3.6.0';

const settings = (place: Place) => `\
cluster.name: chat-local
node.name: chat-local
discovery.type: single-node
network.host: 127.0.0.1
http.port: ${place.port('opensearch')}
transport.port: ${place.port('opensearch-transport')}
path.data: ${JSON.stringify(join(nameOfFolder(place), 'data'))}
path.logs: ${JSON.stringify(join(nameOfFolder(place), 'logs'))}
# No origin is allowed. With CORS off, a page could not read an answer, but its requests would be carried out.
http.cors.enabled: true
# A developer's disk is often fuller than a server's may be, and a full one would make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
`;

const logging = `\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`;

/**
 * The options of the stock start script on Java 21 and later. The script itself spends seconds in two more JVMs, which
 * read options and a keystore. Serial collector, C1 only and no vector instructions halve the start of a small server.
 */
const javaOptions = (home: string, java: Java, place: Place) => [
  '-Xms256m',
  '-Xmx512m',
  '-XX:MaxDirectMemorySize=256m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  '-Xss1m',
  '-Djava.awt.headless=true',
  '-Dfile.encoding=UTF-8',
  '-Djna.nosys=true',
  '-XX:-OmitStackTraceInFastThrow',
  '-Dio.netty.noUnsafe=true',
  '-Dio.netty.noKeySetOptimization=true',
  '-Dio.netty.recycler.maxCapacityPerThread=0',
  '-Dio.netty.allocator.numDirectArenas=0',
  '-Dlog4j.shutdownHookEnabled=false',
  '-Dlog4j2.disable.jmx=true',
  '-Djava.locale.providers=SPI,CLDR',
  '-Dopensearch.networkaddress.cache.ttl=60',
  '-Dopensearch.networkaddress.cache.negative.ttl=10',
  '-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1',
  '--add-opens=java.base/java.nio=ALL-UNNAMED',
  ...(java.major >= 24 ? ['--enable-native-access=ALL-UNNAMED'] : []),
  // Only the classes of the plugin sandbox's agent: no plugin runs here, and the agent itself costs seconds.
  `-Xbootclasspath/a:${join(home, 'agent', `opensearch-agent-bootstrap-${openSearchVersion}.jar`)}`,
  `-Djava.io.tmpdir=${join(nameOfFolder(place), 'tmp')}`,
  `-XX:ErrorFile=${join(nameOfFolder(place), 'hs_err_pid%p.log')}`,
  `-Dopensearch.path.home=${home}`,
  `-Dopensearch.path.conf=${join(nameOfFolder(place), 'config')}`,
  '-Dopensearch.distribution.type=zip',
  '-Dopensearch.bundled_jdk=false',
  '-cp',
  join(home, 'lib/*'),
];

/** OpenSearch from an unpacked distribution, which stays unchanged: configuration and data are in the stack's folder. */
export const openSearchProgram = (home: string, java: Java): Program => ({
  name: 'opensearch',
  // OpenSearch refuses root, and no package creates a user for it.
  users: ['opensearch', 'nobody'],
  ports: ['opensearch', 'opensearch-transport'],
  prepare: async (place) => {
    const config = join(place.folder, 'config');
    for (const folder of [place.dataFolder, config, join(place.folder, 'logs'), join(place.folder, 'tmp')]) {
      makeFolder(folder, place.user);
    }
    writePrivate(join(config, 'opensearch.yml'), settings(place), place.user);
    writePrivate(join(config, 'log4j2.properties'), logging, place.user);
    writePrivate(join(config, 'jvm.options'), '', place.user);
  },
  command: (place) => ({
    file: java.program,
    args: [...javaOptions(home, java, place), 'org.opensearch.bootstrap.OpenSearch'],
    cwd: place.folder,
  }),
  url: (place) => `http://127.0.0.1:${place.port('opensearch')}`,
});
