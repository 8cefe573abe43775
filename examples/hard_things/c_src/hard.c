/* Copyright (c) 2026, alchemist.beam contributors
 * SPDX-License-Identifier: GPL-3.0-or-later */
#include <erl_nif.h>

static ERL_NIF_TERM answer(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    return enif_make_int(env, 41);
}

static ErlNifFunc functions[] = {{"answer", 0, answer}};

ERL_NIF_INIT(Elixir.Beacon.Hard.Native, functions, NULL, NULL, NULL, NULL)
