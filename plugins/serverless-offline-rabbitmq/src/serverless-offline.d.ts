/** The part of serverless-offline's Lambda machinery (its public `./lambda` export, untyped) that this plugin uses. */
declare module 'serverless-offline/lambda' {
  interface LambdaFunction {
    setEvent(event: unknown): void;
    /** Rejects with what the handler threw, or when the function's time-out has passed. */
    runHandler(): Promise<unknown>;
  }

  export default class Lambda {
    constructor(serverless: unknown, options: Record<string, unknown>);
    create(lambdas: { functionKey: string; functionDefinition: unknown }[]): void;
    /** An idle instance, or a new one. It counts as idle until `runHandler` is called: call both in one tick. */
    get(functionKey: string): LambdaFunction;
    /** Ends every instance, also the busy ones. */
    cleanup(): Promise<void>;
  }
}
