// Who may import whom; the reasons are in README.md, "Structure".
const anyOf = (...folders) => `^(${folders.join('|')})/`;

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'not-resolvable',
      comment: 'What is imported exists, and is a dependency.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'functions-know-no-driver',
      comment:
        'A function uses contracts, domain, the wrappers and services of runtime, and types of adapters.',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^node_modules/', pathNot: '^node_modules/zod/' },
    },
    {
      name: 'functions-know-no-adapter',
      severity: 'error',
      from: { path: '^functions/' },
      to: {
        path: anyOf('lib/redis', 'lib/mysql', 'lib/rabbitmq', 'lib/opensearch'),
        pathNot: ['^lib/mysql/migrations\\.ts$', '^lib/rabbitmq/topology\\.ts$'],
        dependencyTypesNot: ['type-only'],
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
      name: 'contracts-know-domain-and-zod',
      severity: 'error',
      from: { path: '^lib/contracts/' },
      to: { pathNot: ['^lib/(contracts|domain)/', '^node_modules/zod/'] },
    },
    ...['redis', 'mysql', 'rabbitmq', 'opensearch', 'auth'].map((adapter) => ({
      name: `${adapter}-knows-itself-and-the-inner-rooms`,
      comment: 'Adapters are named by technology and do not know each other.',
      severity: 'error',
      from: { path: `^lib/${adapter}/` },
      to: {
        path: '^(lib|functions|plugins|local|bench|test)/',
        pathNot: `^lib/(${adapter}|domain|contracts)/`,
      },
    })),
    ...[
      ['redis', 'ioredis'],
      ['mysql', 'mysql2'],
      ['rabbitmq', 'amqplib'],
      ['opensearch', '@opensearch-project'],
      ['auth', 'jose'],
    ].map(([adapter, driver]) => ({
      name: `${driver.replace(/\W/g, '')}-is-of-${adapter}`,
      severity: 'error',
      from: { path: '^(lib|functions)/', pathNot: `^lib/${adapter}/` },
      to: { path: `^node_modules/${driver}/` },
    })),
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
