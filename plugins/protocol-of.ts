/** The parts of a compiled resource that name its API. */
type Resource = { Type: string; Properties?: Record<string, unknown> };

const hasRef = (value: unknown): value is { Ref: string } =>
  typeof value === 'object' && value !== null && 'Ref' in value && typeof value.Ref === 'string';

/**
 * @param resources of the compiled template
 * @param resource a route or a stage of API Gateway, of either kind of API
 * @returns the kind of API that it belongs to; of an API outside the template, that is HTTP
 */
export const protocolOf = (
  resources: Record<string, Resource>,
  { Properties }: Resource,
): 'HTTP' | 'WEBSOCKET' => {
  const api = hasRef(Properties?.ApiId) ? resources[Properties.ApiId.Ref] : undefined;
  return api?.Properties?.ProtocolType === 'WEBSOCKET' ? 'WEBSOCKET' : 'HTTP';
};
