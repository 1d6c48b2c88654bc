/** `Gateway` on Linux, whose kernel tells its IPv4 routes in a file. Elsewhere nothing is known. */
import { networkInterfaces } from "node:os"
import { Effect, FileSystem } from "effect"
import type { Gateway } from "./Gateway.ts"

/** The default route of lowest metric. Never fails. */
export const find: Effect.Effect<Gateway | undefined, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(files.readFileString("/proc/net/route"), () => "")
  const [best] = routes(text).toSorted((a, b) => a.metric - b.metric)
  const client = networkInterfaces()[best?.name ?? ""]?.find(({ family }) => family === "IPv4")?.address
  return best === undefined || client === undefined ? undefined : { gateway: best.gateway, client }
})

/** Name, destination, gateway, flags, use, references, metric, mask: hexadecimal in the byte order of the host. */
const routes = (text: string) =>
  text.split("\n").flatMap((line) => {
    const [name = "", destination, gateway = "", , , , metric, mask] = line.split("\t")
    if (destination !== "00000000" || mask !== "00000000" || !/^[0-9A-F]{8}$/.test(gateway) || gateway === "00000000")
      return []
    const bytes = gateway.match(/../g)?.toReversed() ?? []
    return [{ name, gateway: bytes.map((byte) => Number.parseInt(byte, 16)).join("."), metric: Number(metric) }]
  })
