# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Mix.Tasks.Shop.Digest do
  @shortdoc "What phx.digest does: each static file again with a digest in its name, compressed, and in cache_manifest.json"
  @moduledoc @shortdoc
  use Mix.Task

  @root "priv/static"
  @digested ~r/-[0-9a-f]{32}\./

  @impl true
  def run(_args) do
    files =
      for path <- Path.wildcard("#{@root}/**/*.*"),
          File.regular?(path),
          not (path =~ @digested),
          Path.extname(path) not in [".gz", ".json"] do
        data = File.read!(path)

        digested =
          "#{Path.rootname(path)}-#{Base.encode16(:erlang.md5(data), case: :lower)}#{Path.extname(path)}"

        File.write!(digested, data)
        for name <- [path, digested], do: File.write!(name <> ".gz", :zlib.gzip(data))
        [name, digested] = for name <- [path, digested], do: Path.relative_to(name, @root)

        ~s("#{name}": {"path": "#{digested}", "mtime": #{:calendar.datetime_to_gregorian_seconds(:calendar.universal_time())}})
      end

    File.write!(
      "#{@root}/cache_manifest.json",
      "{\"latest\": {\n#{Enum.join(files, ",\n")}\n}}\n"
    )
  end
end
