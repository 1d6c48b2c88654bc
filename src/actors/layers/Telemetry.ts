/** Logs of a node or a rendezvous: to standard error, as text or JSON lines (node §11). */
import { Layer, Logger, References } from "effect"

/** How to log. */
export interface Options {
  readonly level: "debug" | "info" | "warn" | "error"
  readonly format: "text" | "json"
}

/** Replaces Effect's default logger, which writes to standard output. */
export const layer = ({ format, level }: Options): Layer.Layer<never> =>
  Layer.mergeAll(
    Logger.layer([Logger.withConsoleError(format === "json" ? Logger.formatJson : Logger.formatLogFmt)]),
    Layer.succeed(References.MinimumLogLevel, LEVELS[level])
  )

const LEVELS = { debug: "Debug", info: "Info", warn: "Warn", error: "Error" } as const
