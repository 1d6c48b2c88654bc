/** The environment variables that say where a node keeps its state and listens (architecture, decision 8). */
import { Config, Effect, Option } from "effect"

/** Unset variables are `undefined`. */
export interface Variables {
  readonly PILOT_HOME: string | undefined
  readonly PILOT_SOCKET: string | undefined
  readonly PILOT_REGISTRY: string | undefined
  readonly PILOT_REGISTRY_FINGERPRINT: string | undefined
  readonly PILOT_BEACON: string | undefined
  readonly XDG_RUNTIME_DIR: string | undefined
  readonly HOME: string | undefined
}

const variable = (name: keyof Variables): Effect.Effect<string | undefined> =>
  Config.String(name).pipe(
    Config.option,
    Effect.map(Option.getOrUndefined),
    Effect.orElseSucceed(() => undefined)
  )

/** Reads them through Effect's `Config`. */
export const read: Effect.Effect<Variables> = Effect.all({
  PILOT_HOME: variable("PILOT_HOME"),
  PILOT_SOCKET: variable("PILOT_SOCKET"),
  PILOT_REGISTRY: variable("PILOT_REGISTRY"),
  PILOT_REGISTRY_FINGERPRINT: variable("PILOT_REGISTRY_FINGERPRINT"),
  PILOT_BEACON: variable("PILOT_BEACON"),
  XDG_RUNTIME_DIR: variable("XDG_RUNTIME_DIR"),
  HOME: variable("HOME")
})
