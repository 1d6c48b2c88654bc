/** Where a process of ours sends its spans: as a flag says, else the environment, else `otlp_endpoint` of `config.json`. */
import { Effect, type FileSystem, Layer } from "effect"
import * as Json from "../core/data/Json.ts"
import * as NodeTelemetry from "../core/net/NodeTelemetry.ts"
import type { CliHost } from "./CliHost.ts"
import * as ConfigFile from "./ConfigFile.ts"

/** Its tracer; nothing at all if none of them says anything. */
export const layer = (serviceName: string, url?: string): Layer.Layer<never, never, CliHost | FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { config } = yield* ConfigFile.directory
      const stored = Json.string(yield* ConfigFile.read(config), "otlp_endpoint")
      return NodeTelemetry.layer(serviceName, url, stored === "" ? undefined : stored)
    })
  )
