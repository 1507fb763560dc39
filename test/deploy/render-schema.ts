/**
 * The part of Render's Blueprint reference that is used here, closed: whatever it does not name is refused. Render publishes no schema that could
 * be had offline, so unlike the other schemas of these tests this one was written from the reference, by the people who wrote the generator.
 */
const region = { enum: ['oregon', 'ohio', 'virginia', 'frankfurt', 'singapore'] }
const name = { type: 'string', minLength: 1 }

export const RENDER = {
  type: 'object',
  additionalProperties: false,
  required: ['services', 'databases'],
  properties: {
    services: { type: 'array', items: { oneOf: [{ $ref: '#/definitions/web' }, { $ref: '#/definitions/keyvalue' }] } },
    databases: { type: 'array', items: { $ref: '#/definitions/database' } },
  },
  definitions: {
    web: {
      type: 'object',
      additionalProperties: false,
      required: ['type', 'name', 'runtime'],
      properties: {
        type: { const: 'web' },
        name,
        runtime: { enum: ['docker', 'image', 'node', 'python', 'go', 'rust', 'ruby', 'elixir'] },
        plan: { enum: ['free', 'starter', 'standard', 'pro', 'pro plus', 'pro max', 'pro ultra'] },
        region,
        dockerfilePath: { type: 'string' },
        dockerContext: { type: 'string' },
        numInstances: { type: 'integer', minimum: 1 },
        healthCheckPath: { type: 'string', pattern: '^/' },
        maxShutdownDelaySeconds: { type: 'integer', minimum: 1, maximum: 300 },
        autoDeployTrigger: { enum: ['commit', 'checksPass', 'off'] },
        envVars: { type: 'array', items: { $ref: '#/definitions/variable' } },
      },
    },
    keyvalue: {
      type: 'object',
      additionalProperties: false,
      required: ['type', 'name', 'ipAllowList'],
      properties: {
        type: { const: 'keyvalue' },
        name,
        plan: { enum: ['free', 'starter', 'standard', 'pro', 'pro plus', 'pro max', 'pro ultra'] },
        region,
        maxmemoryPolicy: {
          enum: [
            'noeviction',
            'allkeys-lru',
            'allkeys-lfu',
            'allkeys-random',
            'volatile-lru',
            'volatile-lfu',
            'volatile-random',
            'volatile-ttl',
          ],
        },
        ipAllowList: { type: 'array' },
      },
    },
    database: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'ipAllowList'],
      properties: {
        name,
        plan: { type: 'string', pattern: '^(free|(basic|pro|accelerated)-[0-9]+(mb|gb))$' },
        region,
        postgresMajorVersion: { enum: ['13', '14', '15', '16', '17', '18'] },
        databaseName: name,
        user: name,
        ipAllowList: { type: 'array' },
      },
    },
    variable: {
      type: 'object',
      required: ['key'],
      oneOf: [
        { additionalProperties: false, properties: { key: name, value: { type: 'string' } }, required: ['value'] },
        { additionalProperties: false, properties: { key: name, sync: { const: false } }, required: ['sync'] },
        {
          additionalProperties: false,
          required: ['fromDatabase'],
          properties: {
            key: name,
            fromDatabase: {
              type: 'object',
              additionalProperties: false,
              required: ['name', 'property'],
              properties: { name, property: { const: 'connectionString' } },
            },
          },
        },
        {
          additionalProperties: false,
          required: ['fromService'],
          properties: {
            key: name,
            fromService: {
              type: 'object',
              additionalProperties: false,
              required: ['type', 'name', 'property'],
              properties: { type: { const: 'keyvalue' }, name, property: { const: 'connectionString' } },
            },
          },
        },
      ],
    },
  },
}
