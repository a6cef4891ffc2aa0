/** The part of luaparse that tests use. The package has no types. */
declare module 'luaparse' {
  export type LuaNode = { type: string; name?: string; isLocal?: boolean; identifier?: LuaNode | null };
  export const parse: (
    text: string,
    options: { luaVersion: '5.1'; scope: true; onCreateNode?: (node: LuaNode) => void },
  ) => { body: LuaNode[]; globals: LuaNode[] };
}
