# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: may change without notice.

"""What the node is given to do, as text of Erlang.

Each text is one call: it is scanned, parsed and evaluated by stdlib (`erl_scan`, `erl_parse`, `erl_eval`), which every node has. No module is
loaded for it, so nothing is left on the node, even where the connection is cut in the middle; and the whole swap runs inside the node, without
a round trip while processes are suspended. A helper module would have to be compiled there (the compiler is no part of every release) or shipped
as bytes that nobody can read, and would have to be deleted again.
"""

from __future__ import annotations

# Runs another text. It is parsed by the client's calls, so it is short.
BOOT = """
{ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text)),
{ok, Parsed} = erl_parse:parse_exprs(Tokens),
{value, Value, _} = erl_eval:exprs(Parsed, Bound),
Value.
"""

# Which processes belong to which of the modules in Among: whoever was started by proc_lib says so in its dictionary, supervised or not.
# Handlers of event managers are looked for only where one of the modules is such a handler: a busy manager has to be asked.
_FIND = """
Init = fun(P) ->
  case process_info(P, dictionary) of
    {dictionary, D} -> proplists:get_value('$initial_call', D);
    undefined -> undefined
  end
end,
Handled = fun(P) ->
  case catch sys:get_state(P, 1000) of
    L when is_list(L) -> [{P, element(1, H)} || H <- L, is_tuple(H), is_map_key(element(1, H), Among)];
    _ -> []
  end
end,
Find = fun(Those) ->
  lists:append([case Init(P) of
    {M, init, 1} when is_map_key(M, Among) -> [{P, M}];
    {supervisor, M, 1} when is_map_key(M, Among) -> [{P, M}];
    {gen_event, init_it, 6} when Events -> Handled(P);
    _ -> []
  end || P <- Those, P =/= self()])
end,
"""

_WHO = """
Who = fun(P) ->
  Said = case process_info(P, registered_name) of
    {registered_name, N} -> io_lib:format("~p ~p", [P, N]);
    _ -> case catch proc_lib:translate_initial_call(P) of
      {M, F, A} -> io_lib:format("~p ~p:~p/~p", [P, M, F, A]);
      _ -> io_lib:format("~p", [P])
    end
  end,
  unicode:characters_to_binary(Said)
end,
"""

_TEXT = """
Text = fun(L) -> unicode:characters_to_binary(L) end,
"""

_DISK = """
Rel = fun(Root, Vsn) ->
  case file:consult(filename:join([Root, "releases", Vsn, Name ++ ".rel"])) of
    {ok, [{release, _, {erts, Erts}, Apps}]} -> {Erts, Apps};
    Other -> throw({unreadable, Text(filename:join([Root, "releases", Vsn, Name ++ ".rel"])), Text(io_lib:format("~p", [Other]))})
  end
end,
Ebin = fun(Root, App) ->
  filename:join([Root, "lib", atom_to_list(element(1, App)) ++ "-" ++ element(2, App), "ebin"])
end,
Beams = fun(App, Dir) ->
  case file:list_dir(Dir) of
    {ok, Files} -> [{list_to_atom(filename:rootname(F)), {App, filename:join(Dir, F)}} || F <- Files, filename:extension(F) =:= ".beam"];
    {error, _} -> []
  end
end,
Disk = fun(Root, Vsn, Apps) ->
  Plain = maps:from_list(lists:append([Beams(element(1, A), Ebin(Root, A)) || A <- Apps])),
  Merged = maps:from_list(Beams(consolidated, filename:join([Root, "releases", Vsn, "consolidated"]))),
  maps:merge(Plain, Merged)
end,
"""

# Functions of code that has to be purged before a module can be replaced once more. The VM's check for old code does not see one that has no variables, as
# it is a constant of its module, nor one in a table. So the states of processes that are idle are looked into, and tables that are not large: a function
# has the md5 of its module in the external term format (NEW_FUN_EXT), and it is searched for there, since to walk through each term would take long.
_HELD = """
Stale = [M || M <- Aged, is_map_key(M, Among)],
Marks = [{M, <<119, (byte_size(B)):8, B/binary>>, M:module_info(md5)} || M <- Stale, B <- [atom_to_binary(M, utf8)]],
IsOld = fun(Bin, {At, Len}, Sum) ->
  Before = At - 30,
  (Before >= 0) andalso case Bin of
    <<_:Before/binary, 112, _:32, _:8, Uniq:16/binary, 0:16, _:16, 0:24, _:8, _:Len/binary, Next:8, _/binary>> ->
      ((Next =:= 97) orelse (Next =:= 98)) andalso (Uniq =/= Sum);
    _ -> false
  end
end,
Holds = fun(Term) ->
  Bin = term_to_binary(Term, [{minor_version, 2}]),
  [M || {M, Mark, Sum} <- Marks, lists:any(fun(Found) -> IsOld(Bin, Found, Sum) end, binary:matches(Bin, Mark))]
end,
Idle = fun(P) ->
  case process_info(P, [current_function, dictionary]) of
    [{_, {F, _, _}}, {_, Kept}] -> lists:member(F, [gen_server, gen_statem, gen_event])
      orelse ((F =:= erlang) andalso lists:keymember('$initial_call', 1, Kept));
    _ -> false
  end
end,
States = fun() -> [{M, Who(P)} || P <- processes(), P =/= self(), Idle(P), M <- try Holds(sys:get_state(P, 200)) catch _:_ -> [] end] end,
Small = fun(T) -> (ets:info(T, protection) =/= private) andalso (ets:info(T, memory) < 262144) end,
Tables = fun() ->
  [{M, Text(io_lib:format("table ~tp", [ets:info(T, name)]))}
    || T <- ets:all(), M <- try true = Small(T), Holds(ets:tab2list(T)) catch _:_ -> [] end]
end,
Constants = fun() -> [{M, <<"persistent_term">>} || M <- Holds(persistent_term:get())] end,
Held = case Stale of
  [] -> [];
  _ ->
    Pairs = States() ++ Tables() ++ Constants(),
    [{M, length(Names), lists:sublist(Names, 5)} || M <- Stale, Names <- [[N || {O, N} <- Pairs, O =:= M]], Names =/= []]
end,
"""

# All that the plan is made of. It changes nothing, and gives way to whatever else the node has to do.
LOOK = (
    """
process_flag(priority, low),
"""
    + _TEXT
    + _DISK
    + _WHO
    + """
{_, FromApps} = Rel(From, FromVsn),
{Erts, ToApps} = Rel(To, ToVsn),
Old = Disk(From, FromVsn, FromApps),
New = Disk(To, ToVsn, ToApps),
Md5 = fun(Path) ->
  case file:read_file(Path) of
    {ok, B} -> {B, code:module_md5(B)};
    {error, Why} -> throw({unreadable, Text(Path), Text(file:format_error(Why))})
  end
end,
Loaded = fun(M) -> erlang:module_loaded(M) end,
Behaves = fun(Attributes) -> lists:append([V || {K, V} <- Attributes, (K =:= behaviour) orelse (K =:= behavior)]) end,
Takes = fun(Exports) -> [A || {code_change, A} <- Exports] end,
Boots = fun(M, Path, B) ->
  case code:prepare_loading([{M, Path, B}]) of
    {ok, _} -> false;
    {error, Whys} -> lists:any(fun({_, on_load_not_allowed}) -> true; (_) -> false end, Whys)
  end
end,
Plain = fun(Path) ->
  case beam_lib:chunks(Path, ["FunT"], [allow_missing_chunks]) of
    {ok, {_, [{_, <<_:32, Entries/binary>>}]}} -> lists:member(0, [Free || <<_:128, Free:32, _:32>> <= Entries]);
    _ -> false
  end
end,
Describe = fun(M, App, Path, B, Sum) ->
  {ok, {_, Chunks}} = beam_lib:chunks(B, [attributes, exports]),
  Attributes = proplists:get_value(attributes, Chunks, []),
  Mine = M:module_info(attributes),
  {OldPath, Kept} = case maps:find(M, Old) of
    {ok, {_, P}} -> {P, (catch element(2, Md5(P))) =:= M:module_info(md5)};
    error -> {"", false}
  end,
  #{module => M, app => App, path => Text(Path), md5 => Sum, was => M:module_info(md5), was_path => Text(OldPath), kept => Kept,
    vsn => proplists:get_value(vsn, Mine, []), vsn_to => proplists:get_value(vsn, Attributes, []),
    behaviours => lists:usort(Behaves(Mine) ++ Behaves(Attributes)),
    functions => Kept andalso Plain(OldPath),
    code_change => Takes(M:module_info(exports)), code_change_to => Takes(proplists:get_value(exports, Chunks, [])),
    native => (erlang:get_module_info(M, nifs) =/= []) orelse Boots(M, Path, B)}
end,
Changed = lists:append([case Loaded(M) of
    true ->
      {B, Sum} = Md5(Path),
      case M:module_info(md5) of
        Sum -> [];
        _ -> [Describe(M, App, Path, B, Sum)]
      end;
    false -> []
  end || {M, {App, Path}} <- lists:sort(maps:to_list(New))]),
Added = [begin
    {B, Sum} = Md5(Path),
    #{module => M, path => Text(Path), md5 => Sum, native => Boots(M, Path, B)}
  end || {M, {_, Path}} <- lists:sort(maps:to_list(New)), not is_map_key(M, Old), not Loaded(M)],
Removed = [M || M <- lists:sort(maps:keys(Old)), not is_map_key(M, New)],
Names = [maps:get(module, C) || C <- Changed],
Among = maps:from_list([{M, true} || M <- Names ++ Removed]),
Events = lists:any(fun(C) -> lists:member(gen_event, maps:get(behaviours, C)) end, Changed),
"""
    + _FIND
    + """
Found = Find(processes()),
Mine = maps:from_list([{P, true} || {P, _} <- Found]),
Inside = lists:append([case process_info(P, current_stacktrace) of
    {current_stacktrace, S} -> [{M, P} || M <- lists:usort([element(1, E) || E <- S]), is_map_key(M, Among)];
    _ -> []
  end || P <- processes(), P =/= self(), not is_map_key(P, Mine)]),
Group = fun(Pairs) ->
  [{M, length(Ps), [Who(P) || P <- lists:sublist(Ps, 5)]}
    || {M, Ps} <- maps:to_list(lists:foldl(fun({M, P}, Acc) -> maps:update_with(M, fun(L) -> [P | L] end, [P], Acc) end, #{}, Pairs))]
end,
Aged = [M || {M, _} <- maps:to_list(maps:merge(Old, New)), Loaded(M), erlang:check_old_code(M)],
Users = [{M, P} || M <- Aged, P <- processes(), P =/= self(), (catch erlang:check_process_code(P, M)) =:= true],
"""
    + _HELD
    + """
Spec = fun(Root, App) -> file:read_file(filename:join(Ebin(Root, App), atom_to_list(element(1, App)) ++ ".app")) end,
Specs = [element(1, A) || A <- ToApps, lists:any(fun(O) -> (element(1, O) =:= element(1, A)) andalso (Spec(From, O) =/= Spec(To, A)) end, FromApps)],
Versions = fun(Apps) -> [{element(1, A), Text(element(2, A)), case A of {_, _, T} when is_atom(T) -> T; _ -> permanent end} || A <- Apps] end,
#{erts => Text(erlang:system_info(version)), erts_to => Text(Erts), from => Versions(FromApps), to => Versions(ToApps),
  loaded => [{A, Text(V), permanent} || {A, _, V} <- application:loaded_applications()],
  changed => Changed, added => Added, removed => Removed, processes => Group([{M, P} || {P, M} <- Found]), inside => Group(Inside),
  old_code => Group(Users), held => Held, specs => Specs, total => map_size(New)}.
"""
)

# The messages of sys.erl to many processes at once: all are sent before the first answer is waited for. What can be is made before it begins, and what is
# left is done by functions of OTP itself (zipwith, sort): with ten thousand processes the evaluation of a text for each would be most of the time.
# Make: the processes, what each is sent, and what all of them answer when all is well. Ask: the answers; `late` and `gone` are some, too.
_ASK = """
Now = fun() -> erlang:monotonic_time(millisecond) end,
Queue = fun() -> element(2, process_info(self(), message_queue_len)) end,
Make = fun(Pairs, Message) ->
  Tag = make_ref(),
  {Tag, Pairs, [P || {P, _} <- Pairs], [{system, {self(), {Tag, Pair}}, Message(element(2, Pair))} || Pair <- Pairs],
    lists:sort([{{Tag, Pair}, ok} || Pair <- Pairs])}
end,
Send = fun({_, _, Pids, Messages, _}) -> lists:zipwith(fun erlang:send/2, Pids, Messages) end,
Ask = fun({Tag, Pairs, Pids, _, Well} = Made, Ms) ->
  From = Queue(),
  Begin = Now(),
  Count = length(Pids),
  Send(Made),
  Wait = fun Again() ->
    case (Queue() - From >= Count) orelse (Now() - Begin >= Ms) of
      true -> ok;
      false ->
        case Now() - Begin < 5 of
          true -> erlang:yield();
          false -> timer:sleep(1)
        end,
        Again()
    end
  end,
  Wait(),
  {messages, All} = process_info(self(), messages),
  case lists:sort(lists:nthtail(From, All)) of
    Well -> {Pairs, []};
    _ ->
      Sift = fun Again() ->
        {messages, Mine} = process_info(self(), messages),
        Said = maps:from_list([{Pair, A} || {{T, Pair}, A} <- Mine, T =:= Tag]),
        Dead = maps:from_list([{P, true} || {'DOWN', _, process, P, _} <- Mine]),
        Left = [Pair || {P, _} = Pair <- Pairs, not is_map_key(Pair, Said), not is_map_key(P, Dead)],
        case (Left =:= []) orelse (Now() - Begin >= Ms) of
          true ->
            {[Pair || {Pair, ok} <- maps:to_list(Said), not is_map_key(element(1, Pair), Dead)],
              [{P, M, A} || {{P, M}, A} <- maps:to_list(Said), A =/= ok] ++ [{P, M, late} || {P, M} <- Left]};
          false -> timer:sleep(5), Again()
        end
      end,
      Sift()
  end
end,
Once = fun(Pairs) -> [{P, one} || P <- lists:usort([P || {P, _} <- Pairs])] end,
"""

# Why something was raised: its kind and place, and never a term that may hold a state or a setting.
_CAUSE = """
Cause = fun Of({error, R}) -> Of(R);
  Of({'EXIT', R}) -> Of(R);
  Of({R, [{M, F, A, _} | _]}) when is_atom(M), is_atom(F) ->
    [Of(R), io_lib:format(" at ~p:~p/~p", [M, F, case is_list(A) of true -> length(A); false -> A end])];
  Of(#{'__struct__' := S, message := T}) when is_atom(S), is_binary(T) -> [atom_to_list(S), ": ", T];
  Of(#{'__struct__' := S}) when is_atom(S) -> atom_to_list(S);
  Of(R) when is_atom(R) -> atom_to_list(R);
  Of(R) when is_tuple(R), tuple_size(R) > 0 -> Of(element(1, R));
  Of(_) -> "an error"
end,
"""

# Suspend, load, change, resume; or, if anything fails, back to what was. Mods: {Module, Path, Md5, PathBefore, Md5Before}. Fresh: {Module, Path, Md5}.
# Change: what code_change is told of each module, there and back. Down: whether the states are changed before the code is loaded.
SWAP = (
    _TEXT
    + _WHO
    + _ASK
    + _FIND
    + _CAUSE
    + """
Words = fun(Term) -> Text(string:slice(io_lib:format("~0p", [Term]), 0, 600)) end,
Read = fun(M, Path, Sum) ->
  case file:read_file(Path) of
    {ok, B} ->
      case code:module_md5(B) of
        Sum -> {M, unicode:characters_to_list(Path), B};
        _ -> throw({load, Text([Path, " is not what it was when it was looked at"]), []})
      end;
    {error, Why} -> throw({load, Text([Path, ": ", file:format_error(Why)]), []})
  end
end,
Prepare = fun(Beams) ->
  case code:prepare_loading(Beams) of
    {ok, Prepared} -> Prepared;
    {error, Whys} -> throw({load, Words(Whys), []})
  end
end,
Load = fun(Prepared) ->
  case code:finish_loading(Prepared) of
    ok -> ok;
    {error, Whys} -> throw({load, Words(Whys), []})
  end
end,
Told = fun(Pairs, There) ->
  Make([{P, M} || {P, M} <- Pairs, is_map_key(M, Change)], fun(M) -> {change_code, M, element(There, maps:get(M, Change)), []} end)
end,
Suspend = fun Again(Wait, Until, Tries) ->
  Here = processes(),
  First = Find(Here),
  Pids = Once(First),
  lists:zipwith(fun erlang:monitor/2, lists:duplicate(length(Pids), process), [P || {P, _} <- Pids]),
  Stop = Make(Pids, fun(_) -> suspend end),
  There = Told(First, 1),
  Go = Make(Pids, fun(_) -> resume end),
  Began = Now(),
  Started = erlang:monotonic_time(microsecond),
  {_, Late} = Ask(Stop, max(1, min(Wait, Until - Now()))),
  Later = Find(processes() -- Here),
  {_, More} = Ask(Make(Once(Later), fun(_) -> suspend end), max(1, min(Wait, Until - Now()))),
  case {Late ++ More, Later} of
    {[], []} -> {Started, First, There, Go, Tries};
    {[], _} -> {Started, First ++ Later, Told(First ++ Later, 1), Make(Once(First ++ Later), fun(_) -> resume end), Tries};
    {Busy, _} ->
      Send(Make(Once(First ++ Later), fun(_) -> resume end)),
      case Now() + 300 >= Until of
        true -> throw({suspend, <<"they did not answer in time">>, [Who(P) || {P, _, _} <- lists:sublist(Busy, 5)]});
        false -> timer:sleep(min(200, (Now() - Began) div 2)), Again(Wait * 2, Until, Tries + 1)
      end
  end
end,
Purge = fun Try(M, Left) ->
  case code:soft_purge(M) of
    true -> [];
    false when Left > 0 -> timer:sleep(20), Try(M, Left - 1);
    false -> Users = [Who(P) || P <- processes(), P =/= self(), (catch erlang:check_process_code(P, M)) =:= true], code:purge(M), Users
  end
end,
case catch register(alchemist_beam_upgrade, self()) of
  true ->
    try
      Blocked = [M || {M, _, _, _, _} <- Mods, not code:soft_purge(M)],
      case Blocked of
        [] -> ok;
        _ -> throw({old_code, Words(Blocked), []})
      end,
      NewBeams = Prepare([Read(M, P, S) || {M, P, S, _, _} <- Mods] ++ [Read(M, P, S) || {M, P, S} <- Fresh]),
      OldBeams = Prepare([Read(M, P, S) || {M, _, _, P, S} <- Mods]),
      {Started, Pairs, There, Go, Tries} = Suspend(250, Now() + Limit, 1),
      put(loaded, false),
      put(done, []),
      put(late, []),
      Took = fun() -> erlang:monotonic_time(microsecond) - Started end,
      Step = fun() ->
        {Done, Bad} = Ask(There, ChangeLimit),
        put(done, Done),
        put(late, [P || {P, _, late} <- Bad]),
        case Bad of
          [] -> ok;
          [{P, M, Answer} | _] -> throw({code_change, Text([atom_to_list(M), ": ", Cause(Answer)]), [Who(P)]})
        end
      end,
      Swap = fun() -> Load(NewBeams), put(loaded, true) end,
      try
        case Down of
          true -> Step(), Swap();
          false -> Swap(), Step()
        end,
        Send(Go),
        {ok, Took(), length(Once(Pairs)), Tries}
      catch
        Class:Reason ->
          Lost = try
            {_, Stuck} = Ask(Told(get(done), 2), ChangeLimit),
            Killed = case get(loaded) of
              true ->
                Users = lists:append([Purge(M, 25) || {M, _, _, _, _} <- Mods]),
                Load(OldBeams),
                [begin code:delete(M), code:purge(M) end || {M, _, _} <- Fresh],
                Users;
              false -> []
            end,
            [Who(P) || P <- get(late) ++ [Q || {Q, _, _} <- Stuck]] ++ Killed
          catch
            _:Still -> throw({lost, Text([Cause(Reason), ", then ", Cause(Still)]), []})
          after
            Send(Go)
          end,
          case {Class, Reason} of
            {throw, {Stage, Said, Those}} -> {back, Stage, Said, Those, Lost, Took()};
            _ -> {back, swap, Text(Cause(Reason)), [], Lost, Took()}
          end
      end
    catch
      throw:{Phase, Why, Whom} -> {kept, Phase, Why, Whom};
      _:Other -> {kept, swap, Text(Cause(Other)), []}
    after
      catch unregister(alchemist_beam_upgrade)
    end;
  _ -> {kept, busy, <<>>, []}
end.
"""
)

# Which keys differ between two configurations, each a list of {App, [{Key, Value}]} as bytes.
_KEYS = """
Conf = fun(Bytes) -> maps:from_list([{A, maps:from_list(E)} || {A, E} <- binary_to_term(Bytes)]) end,
ConfOld = Conf(ConfigFrom),
ConfNew = Conf(ConfigTo),
Own = fun(elixir, config_provider_init) -> true; (elixir, config_provider_booted) -> true; (_, _) -> false end,
Differ = lists:append([begin
    Before = maps:get(A, ConfOld, #{}),
    After = maps:get(A, ConfNew),
    Changed = [{K, V} || {K, V} <- maps:to_list(After), not Own(A, K), is_map_key(K, Before), maps:get(K, Before) =/= V],
    New = [{K, V} || {K, V} <- maps:to_list(After), not Own(A, K), not is_map_key(K, Before)],
    Gone = [K || K <- maps:keys(Before), not Own(A, K), not is_map_key(K, After)],
    case {Changed, New, Gone} of
      {[], [], []} -> [];
      _ -> [{A, Changed, New, Gone}]
    end
  end || A <- maps:keys(ConfNew)]),
"""

# Names alone: a value may be a secret.
KEYS = (
    _KEYS
    + """
[{A, [K || {K, _} <- C], [K || {K, _} <- N], G} || {A, C, N, G} <- Differ].
"""
)

# After the swap: paths, what the applications are said to be, configuration; then what is not needed any more. RELEASE_VSN is what many an application
# tells as its version. While OTP replaces what an application is said to be, its environment is empty for an instant, in which a request fails that reads
# it. So where nothing differs but version, modules and description, these are noted in OTP's own record, if that has the shape that is known; else OTP
# does it. RELEASE_ROOT stays: a restart inside the VM boots what it was started from, and looks there for its configuration.
SETTLE = (
    _TEXT
    + _DISK
    + _WHO
    + _KEYS
    + _CAUSE
    + """
Words = fun(Term) -> Text(string:slice(io_lib:format("~0p", [Term]), 0, 600)) end,
{_, FromApps} = Rel(From, FromVsn),
{_, ToApps} = Rel(To, ToVsn),
Flat = fun(Path) -> lists:foldl(fun("..", [_ | T]) -> T; (C, L) -> [C | L] end, [], filename:split(Path)) end,
Known = maps:from_list([{Flat(Ebin(From, O)), Ebin(To, A)} || O <- FromApps, A <- ToApps, element(1, O) =:= element(1, A)]
  ++ [{Flat(filename:join([From, "releases", FromVsn, "consolidated"])), filename:join([To, "releases", ToVsn, "consolidated"])}]),
Paths = [maps:get(Flat(P), Known, P) || P <- code:get_path()],
try
  case code:set_path(Paths) of
    true -> ok;
    Bad -> throw({paths, Words(Bad)})
  end,
  Read = fun(App) ->
    Path = filename:join(Ebin(To, lists:keyfind(App, 1, ToApps)), atom_to_list(App) ++ ".app"),
    case file:consult(Path) of
      {ok, [Spec]} -> Spec;
      Error -> throw({specs, Words({Path, Error})})
    end
  end,
  Mend = fun(App, Env) ->
    case lists:keyfind(App, 1, Differ) of
      {_, C, N, G} -> maps:to_list(maps:without(G, maps:merge(maps:from_list(Env), maps:from_list(C ++ N))));
      false -> Env
    end
  end,
  Here = [A || {A, _, _} <- application:loaded_applications()],
  Field = fun(App, K) -> {ok, V} = application:get_key(App, K), V end,
  Alike = fun(App, Keys) ->
    lists:all(fun({K, Default}) -> Field(App, K) =:= proplists:get_value(K, Keys, Default) end,
      [{applications, []}, {included_applications, []}, {registered, []}, {mod, []}, {start_phases, undefined},
        {maxP, infinity}, {maxT, infinity}, {id, []}])
  end,
  Note = fun({application, App, Keys}) ->
    [{Key, Old}] = ets:lookup(ac_tab, {loaded, App}),
    Data = element(3, Old),
    Shape = [element(1, Old), element(2, Old), element(4, Old), element(6, Old), element(1, Data), element(2, Data), element(6, Data)],
    Wanted = [appl, App, Field(App, description), Field(App, vsn), appl_data, App, Field(App, modules)],
    true = (Shape =:= Wanted) andalso Alike(App, Keys),
    Given = fun(K, Default) -> proplists:get_value(K, Keys, Default) end,
    Mended = setelement(3, setelement(4, setelement(6, Old, Given(vsn, "")), Given(description, "")), setelement(6, Data, Given(modules, []))),
    ets:insert(ac_tab, {Key, Mended})
  end,
  Told = [A || A <- Specs, lists:member(A, Here), (catch Note(Read(A))) =/= true],
  case Told of
    [] -> ok;
    _ ->
      Config = [{A, Mend(A, application:get_all_env(A))} || A <- Here]
        ++ [{A, maps:to_list(E)} || {A, E} <- maps:to_list(ConfNew), not lists:member(A, Here)],
      case application_controller:change_application_data([Read(A) || A <- Told], Config) of
        ok -> ok;
        Wrong -> throw({specs, Words(Wrong)})
      end
  end,
  [begin
    [application:set_env(A, K, V, [{persistent, true}]) || {K, V} <- C ++ N],
    [application:unset_env(A, K, [{persistent, true}]) || K <- G]
  end || {A, C, N, G} <- Differ],
  case os:getenv("RELEASE_VSN") of
    false -> ok;
    _ -> os:putenv("RELEASE_VSN", ToVsn)
  end,
  Hear = fun(A, C, N, G) ->
    case application:get_key(A, mod) of
      {ok, {M, _}} ->
        {_, R} = spawn_monitor(fun() ->
          case erlang:function_exported(M, config_change, 3) of
            true -> exit({answer, M:config_change(C, N, G)});
            false -> exit({answer, ok})
          end
        end),
        receive
          {'DOWN', R, process, _, {answer, ok}} -> ok;
          {'DOWN', R, process, _, {answer, Said}} -> throw({config_change, Text([atom_to_list(M), ": ", Cause(Said)])});
          {'DOWN', R, process, _, Why} -> throw({config_change, Text([atom_to_list(M), ": ", Cause(Why)])})
        after Limit -> throw({config_change, Text([atom_to_list(M), " gave no answer"])})
        end;
      _ -> ok
    end
  end,
  [Hear(A, C, N, G) || {A, C, N, G} <- Differ, lists:keymember(A, 1, application:which_applications())],
  [begin code:soft_purge(M), code:delete(M) end || M <- Removed, erlang:module_loaded(M)],
  Left = [M || M <- Purge ++ Removed, not code:soft_purge(M)],
  {ok, Left}
catch
  throw:{Phase, Why} -> {failed, Phase, Why};
  _:Reason -> {failed, settle, Text(Cause(Reason))}
end.
"""
)
