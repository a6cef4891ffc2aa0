/*
 * Who may import whom. README.md, "Structure", gives the reasons.
 * A type import ties nothing together at run time, so rules for values and for types differ.
 */
const anyOf = (...folders) => `^(${folders.join('|')})/`;
const ADAPTERS = ['redis', 'mysql', 'rabbitmq', 'opensearch', 'auth', 'connections', 'lambda'];
const adapterFolders = ADAPTERS.map((adapter) => `lib/${adapter}`);
const WRAPPERS = ['http', 'consumer', 'job', 'socket'];
const LOGIC = ['writing', 'reading', 'recovery', 'upkeep', 'live'];
const logicFolders = LOGIC.map((room) => `lib/${room}`);
const INNER = ['lib/domain', 'lib/concurrency', 'lib/contracts'];
/** Signed calls, which two adapters make. */
const SIGNED = 'lib/aws';
const OWN_CODE = '^(lib|functions|plugins|local|bench|test)/';
const DRIVERS = {
  redis: ['ioredis'],
  mysql: ['mysql2'],
  rabbitmq: ['amqplib'],
  opensearch: ['@opensearch-project'],
  auth: ['jose'],
};
const typesOnly = { dependencyTypesNot: ['type-only'] };

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      comment: 'Every import exists, and every package is a dependency.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'functions-know-no-driver',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^node_modules/', pathNot: '^node_modules/zod/' },
    },
    {
      name: 'functions-use-the-inner-rooms-wrappers-and-services',
      comment:
        'Adapters and the rooms of logic reach a function through runtime/services; it imports their types alone.',
      severity: 'error',
      from: { path: '^functions/' },
      to: {
        path: OWN_CODE,
        pathNot: [
          anyOf(...INNER, ...WRAPPERS.map((wrapper) => `lib/${wrapper}`)),
          '^lib/runtime/(services/|lazy\\.ts$)',
        ],
        ...typesOnly,
      },
    },
    {
      name: 'functions-know-no-function',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^functions/' },
    },
    {
      name: 'domain-knows-nothing',
      severity: 'error',
      from: { path: '^lib/domain/' },
      to: { pathNot: '^lib/domain/' },
    },
    {
      name: 'concurrency-knows-domain',
      severity: 'error',
      from: { path: '^lib/concurrency/' },
      to: { pathNot: [anyOf('lib/concurrency', 'lib/domain'), '^(node:)?timers/promises$'] },
    },
    {
      name: 'contracts-know-domain-and-zod',
      severity: 'error',
      from: { path: '^lib/contracts/' },
      // The document has the version of package.json.
      to: { pathNot: [anyOf('lib/domain', 'lib/contracts'), '^node_modules/zod/', '^package\\.json$'] },
    },
    ...ADAPTERS.map((adapter) => ({
      name: `${adapter}-knows-itself-and-the-inner-rooms`,
      comment: 'Adapters are named by technology and do not know each other.',
      severity: 'error',
      from: { path: `^lib/${adapter}/` },
      to: { path: OWN_CODE, pathNot: anyOf(`lib/${adapter}`, SIGNED, ...INNER) },
    })),
    ...Object.entries(DRIVERS).map(([adapter, drivers]) => ({
      name: `only-${adapter}-knows-its-driver`,
      severity: 'error',
      from: { path: '^(lib|functions)/', pathNot: `^lib/${adapter}/` },
      to: { path: anyOf(...drivers.map((driver) => `node_modules/${driver}`)) },
    })),
    ...LOGIC.map((room) => ({
      name: `${room}-knows-the-inner-rooms-and-types-of-adapters`,
      comment: 'Every room hands messages on to the index by the same function.',
      severity: 'error',
      from: { path: `^lib/${room}/` },
      to: {
        path: OWN_CODE,
        pathNot: [anyOf(`lib/${room}`, ...INNER), '^lib/writing/hand-on\\.ts$'],
        ...typesOnly,
      },
    })),
    {
      name: 'logic-knows-no-wrapper',
      severity: 'error',
      from: { path: anyOf(...logicFolders) },
      to: { path: anyOf(...WRAPPERS.map((wrapper) => `lib/${wrapper}`), 'lib/runtime') },
    },
    ...WRAPPERS.map((wrapper) => ({
      name: `${wrapper}-knows-the-inner-rooms-and-runtime`,
      severity: 'error',
      from: { path: `^lib/${wrapper}/` },
      to: { path: OWN_CODE, pathNot: anyOf(`lib/${wrapper}`, 'lib/runtime', ...INNER), ...typesOnly },
    })),
    {
      name: 'only-services-know-all-adapters',
      severity: 'error',
      from: { path: '^lib/runtime/', pathNot: '^lib/runtime/services/' },
      to: { path: anyOf(...adapterFolders, ...logicFolders, ...WRAPPERS.map((wrapper) => `lib/${wrapper}`)) },
    },
    {
      name: 'nothing-imports-the-outer-rooms',
      severity: 'error',
      from: { path: '^(lib|functions)/' },
      to: { path: anyOf('plugins', 'local', 'bench', 'test') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|\\.data)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
