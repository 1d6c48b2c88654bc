/** Starts the keeper of a state directory as `pilotctl` does, from the program that comes with this package. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, FileSystem } from "effect"
import * as KeeperControl from "../actors/mcp/KeeperControl.ts"
import * as NodeBackground from "../core/net/NodeBackground.ts"
import type { Options } from "./Daemon.ts"

/** Starts it; one that runs already keeps the socket, and the new one ends. */
export const start = Effect.fnUntraced(function* (
  options: Options,
  home: string
): Effect.fn.Return<void, NodeBackground.CannotStartInBackground, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  let program: string | undefined
  for (const path of options.pilotctl === undefined ? PLACES : [options.pilotctl]) {
    if (yield* Effect.orElseSucceed(files.exists(path), () => false)) program ??= path
  }
  if (program === undefined) {
    return yield* new NodeBackground.CannotStartInBackground({
      detail: "pilotctl.js is not beside this package; name it with the option `pilotctl`"
    })
  }
  yield* NodeBackground.start(
    process.execPath,
    [program, ...KeeperControl.RUN_WORDS],
    `${home}/${KeeperControl.LOG_NAME}`,
    {
      PILOT_HOME: home,
      ...(options.socket === undefined ? {} : { PILOT_SOCKET: options.socket })
    }
  )
}, Effect.provide(NodeFileSystem.layer))

/** Beside the library as it is installed, and as it is in a checkout. */
const PLACES = ["../../pilotctl/pilotctl.js", "../../dist/pilotctl/pilotctl.js"].map((path) =>
  decodeURIComponent(new URL(path, import.meta.url).pathname)
)
