/** `--detach-after`, of a mount and of a service (mcp §6.7). */
import { Duration, Result, Schema } from "effect"
import { DetachAfterMs } from "../../protocol/relay/RelayControl.ts"
import * as CliError from "../CliError.ts"
import type { Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** Its value; undefined for 0, which is never. */
export const milliseconds = (input: Input): Result.Result<number | undefined, CliError.CliError> =>
  Result.flatMap(Values.duration(input, "detach-after", 0), (duration) => {
    const ms = Duration.toMillis(duration)
    if (ms === 0) return Result.succeed(undefined)
    return isDetachAfter(ms)
      ? Result.succeed(ms)
      : Result.fail(
          CliError.invalidArgument(
            "--detach-after is a second at least, and a day at most",
            "less than the client's own limit, such as 50s"
          )
        )
  })

const isDetachAfter = Schema.is(DetachAfterMs)
