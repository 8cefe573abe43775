# Copyright (c) 2026, alchemist.beam contributors
# SPDX-License-Identifier: GPL-3.0-or-later

defmodule Beacon.Health do
  @moduledoc "Whether this node may get traffic, and who it is."

  # Other for every boot of the VM, so that a gate can tell a new node from the old one that still answers.
  @boot_id {__MODULE__, :boot_id}

  def answer do
    Process.sleep(Beacon.Fault.argument("slow_health", 0))
    ready = ready?() and not Beacon.Drain.draining?() and Beacon.Fault.healthy?()

    {if(ready, do: 200, else: 503),
     %{
       name: "beacon",
       version: reported_version(),
       code: code(),
       ready: ready,
       boot_id: boot_id(),
       pid: os_pid()
     }}
  end

  defp ready?, do: present?(Application.fetch_env!(:beacon, :ready_file))

  defp present?(nil), do: true
  defp present?(file), do: File.exists?(file)

  @doc "Of the release, as it was booted; of the application where there is no release."
  def version, do: System.get_env("RELEASE_VSN") || code()

  defp reported_version, do: if(Beacon.Fault.named("lie"), do: "0.0.0", else: version())

  # Of the code that is loaded: a hot upgrade changes it, a rebuild that left stale files behind does not.
  defp code, do: unquote(Mix.Project.config()[:version])

  defp os_pid, do: String.to_integer(System.pid())

  defp boot_id do
    case :persistent_term.get(@boot_id, nil) do
      nil ->
        tap(Base.encode16(:crypto.strong_rand_bytes(8), case: :lower), &:persistent_term.put(@boot_id, &1))

      id ->
        id
    end
  end
end
