import * as z from 'zod';

export type JsonSchema = z.core.JSONSchema.BaseSchema;
type Schemas = Record<string, JsonSchema>;

export const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null;

/**
 * Removes redundant parts of a JSON Schema: patterns that `type` or `format` imply, and the bounds of
 * JavaScript integers.
 */
const withoutNoise = ({ jsonSchema }: { jsonSchema: JsonSchema }): void => {
  if (jsonSchema.type === 'integer' || jsonSchema.format === 'date-time') delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
};

/** Schemas of the document. Named ones (zod's `id`) are collected once and referenced. */
export const createSchemas = () => {
  const named: Schemas = {};
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
    const json = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: withoutNoise });
    const moved: JsonSchema = JSON.parse(
      JSON.stringify(json).replaceAll('"#/$defs/', '"#/components/schemas/'),
    );
    const { $schema: _dialect, $defs, ...rest } = moved;
    Object.assign(named, $defs);
    return rest;
  };

  /** An example made of the first example of each field; undefined without any. */
  const exampleOf = (schema: JsonSchema): unknown => {
    const { $ref, examples, type, properties = {}, items } = schema;
    const referred = $ref === undefined ? undefined : named[$ref.split('/').at(-1) ?? ''];
    if (referred !== undefined) return exampleOf(referred);
    if (examples !== undefined) return Array.isArray(examples) ? examples[0] : undefined;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum !== undefined) return schema.enum[0];
    if (type === 'array') return isSchema(items) ? [exampleOf(items)] : [];
    if (type !== 'object') return undefined;
    return Object.fromEntries(
      Object.entries(properties).flatMap(([name, property]) => {
        const example = isSchema(property) ? exampleOf(property) : undefined;
        return example === undefined ? [] : [[name, example]];
      }),
    );
  };

  const contentOf = (type: string, schema: JsonSchema) => {
    const example = exampleOf(schema);
    return { [type]: { schema, ...(example === undefined ? {} : { example }) } };
  };
  return { named, schemaOf, contentOf };
};

export type DocumentSchemas = ReturnType<typeof createSchemas>;
