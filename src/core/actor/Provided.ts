/**
 * The services that are there when something is made, for what it runs later. Without the scope: what is opened later ends with
 * whoever asked for it. Provided with the others, the scope of here would hide theirs, and what they opened would stay until
 * this ends.
 */
import { Context, Effect, Scope } from "effect"

/** All of them but `Scope`. */
export const services = <R = never>(): Effect.Effect<
  Context.Context<Exclude<R, Scope.Scope>>,
  never,
  Exclude<R, Scope.Scope>
> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) =>
    // The types know of no scope here, though there may be one.
    Effect.succeed(Context.omit(Scope.Scope)(context) as Context.Context<Exclude<R, Scope.Scope>>)
  )
