"""For each check of the code (`mutant`), a quick test that fails without it: `test_checks_taken_out` takes them out one by one.

`python -m tests.attacks.checks` writes the list to docs/security/tests.md.
"""

from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security" / "tests.md"
TITLE = "## Every check, and a test that fails without it"

FAILS_WITHOUT = {
    "preprocessing.dealer.DealerSource._seeds": "preprocessing/test_dealer.py::test_burning_forgets",
    "preprocessing.lattice.alpha.check": (
        "attacks/test_mac_keys.py::test_a_mac_key_that_is_not_one_number[one slot is another]"
    ),
    "preprocessing.lattice.batch.Batch._prove": "attacks/test_private_numbers.py::test_the_square_of_another_number[0]",
    "preprocessing.lattice.batch.Batch._prove:2": (
        "attacks/test_private_numbers.py::test_numbers_out_of_range_are_found[wrong counts]"
    ),
    "preprocessing.lattice.jobs.Bits._signed": "attacks/test_single_checks.py::test_sums_of_shares_that_are_no_squares",
    "preprocessing.lattice.link.Link.exchange": "attacks/test_single_checks.py::test_a_shorter_message_is_named_so",
    "preprocessing.lattice.link.Link.checked": "attacks/test_preparation.py::test_every_message[ciphertexts-zeros]",
    "preprocessing.lattice.link.Link._canonical": "attacks/test_single_checks.py::test_a_share_outside_the_field",
    "preprocessing.lattice.maker.Maker.alive": "attacks/test_single_checks.py::test_a_source_that_was_burned_makes_nothing",
    "preprocessing.lattice.sigmas._settle": (
        "attacks/test_sigmas.py::test_whoever_opens_another_sigma_than_it_fixed_is_named[1]"
    ),
    "preprocessing.lattice.sigmas._settle:2": (
        "attacks/test_private_numbers.py::test_a_bet_on_a_square_is_lost_even_if_it_is_right"
    ),
    "preprocessing.lattice.source.LatticeSource._first": (
        "attacks/test_preparation.py::test_lies_are_found_and_the_liar_is_named[an error in one product]"
    ),
    "preprocessing.lattice.source.LatticeSource._missing": (
        "attacks/test_single_checks.py::test_a_wrong_product_that_was_not_foreseen"
    ),
    "preprocessing.lattice.source.LatticeSource._settle": (
        "attacks/test_sigmas.py::test_what_is_made_ahead_is_checked_when_it_is_asked_for_and_not_before"
    ),
    "preprocessing.store.StoreSource._alive": "preprocessing/test_store.py::test_burning_destroys_what_was_begun",
    "engine.recovery.Recovery._through": "losses/test_door.py::test_at_the_end_of_a_step_another_is_awaited",
    "engine.recovery.Recovery._ended": "losses/test_losses.py::test_a_party_that_claims_more_than_is_true",
    "engine.recovery.Recovery._regroup": "losses/test_liars.py::test_counts_again_and_again_though_nobody_is_lost",
    "engine.recovery.Recovery._claims": "losses/test_claims.py::test_lists_told_differently[peers0-list]",
    "engine.rejoin.unpacked": "hostile/test_bytes.py::test_what_was_found",
    "interaction.rounds._round": "attacks/test_single_checks.py::test_a_frame_of_another_length_is_named_so",
    "interaction.rounds._round:2": "attacks/test_messages.py::test_every_message[header-2]",
    "numbers.origins.prove": (
        "session/test_saving.py::"
        "test_cheaters_that_bring_one_share_and_know_more_do_not_replace_what_was_saved[5-come0-spdz]"
    ),
    "numbers.saving._test": (
        "session/test_saving.py::test_a_party_that_brings_something_else_is_found_before_anything_is_revealed[values]"
    ),
    "sessions.public.told": "session/test_public.py::test_a_party_that_tells_others_different_numbers_is_found_by_all[-1]",
    "sessions.session.Session.public.told": (
        "session/test_public.py::test_a_party_that_tells_others_different_numbers_is_found_by_all[-1]"
    ),
    "interaction.checks.Checks._wait": "protocols/test_checks.py::test_a_check_that_broke_off_is_the_last_one[CheatingDetected]",
    "interaction.coins.Transcript._opened": "attacks/test_messages.py::test_an_input_told_differently_to_two_parties",
    "interaction.coins.Transcript._opened:2": "attacks/test_messages.py::test_a_broken_commitment_is_cheating",
    "protocols.shamir.robust.CorrectedShares._fitting": (
        "attacks/test_single_checks.py::test_shares_on_no_polynomial_that_could_be_corrected"
    ),
    "protocols.shamir.robust.CorrectedShares.suspect": (
        "attacks/test_single_checks.py::test_more_suspects_than_liars_that_could_be_corrected"
    ),
    "protocols.shamir.robust.Corrected.received_input": (
        "attacks/test_corrected.py::test_an_input_told_differently_to_two_parties[4-1]"
    ),
    "protocols.shamir.robust.Corrected.received_input:2": (
        "attacks/test_single_checks.py::test_an_input_of_which_too_few_say_the_same_after_a_loss"
    ),
    "interaction.exchange.received": "attacks/test_corrected.py::test_lies_in_every_opening[empty-4-liars0]",
    "interaction.exchange.received:2": "attacks/test_randomness.py::test_a_number_outside_the_field",
    "protocols.shamir.resharing._piece": "attacks/test_single_checks.py::test_more_dealers_lie_than_there_are_to_spare",
    "protocols.shamir.resharing._piece:2": "protocols/test_resharing.py::test_a_dealer_that_deals_another_value",
    "protocols.shamir.resharing._judged": "losses/test_faults.py::test_under_shamir_a_wrong_stored_share_ends_the_session",
    "protocols.shamir.resharing._compared": "losses/test_faults.py::test_lies_of_a_dealer_and_of_a_receiver[one-said]",
    "protocols.shamir.protocol.Shamir._compare": (
        "attacks/test_shamir.py::test_different_sums_for_different_parties[True-3-1]"
    ),
    "protocols.spdz.protocol.Spdz._check": "attacks/test_messages.py::test_altered_openings_are_cheating",
    "protocols.spdz.protocol._packed": "attacks/test_single_checks.py::test_packed_bits_that_are_not_as_many_as_are_due",
    "protocols.spdz.protocol._packed:2": "attacks/test_single_checks.py::test_packed_bits_beyond_those_that_are_due",
    "protocols.shamir.shares.Group.agree": "attacks/test_shamir.py::test_keys_of_a_set_told_differently",
    "protocols.shamir.shares.Shares.alive": "attacks/test_shamir.py::test_after_cheating_the_keys_are_gone",
    "protocols.shamir.shares.Shares._fitting": "attacks/test_shamir.py::test_a_wrong_share_of_an_opening[3-1]",
    "protocols.shamir.verification.Verifier.check": "attacks/test_shamir.py::test_the_same_wrong_sum_for_all[value-3-1]",
    "protocols.shamir.verification.Verifier._last": "attacks/test_shamir.py::test_a_wrong_part_of_a_product[3-1]",
    "graph.wires.Wire.needed": "losses/test_claims.py::test_a_party_that_does_not_say_what_it_holds[shamir-5-1-3-nothing]",
    "transport.calls.Calls.take": "losses/test_membership.py::test_calls_that_are_not_believed",
    "transport.calls.Calls.take:2": "losses/test_membership.py::test_a_call_for_a_turn_that_no_count_comes_to",
    "transport.calls.Calls.take:3": (
        "losses/test_membership.py::test_a_call_that_is_held_back_until_the_count_is_over_is_a_proof_still"
    ),
    "transport.counting.Count.run": "losses/test_liars.py::test_a_count_that_one_party_never_lets_end",
}


def printed():
    """The list as the page has it."""
    return f"""{TITLE}

A check is a statement that raises `CheatingDetected`; its name is that of its module and function, with its number in the
function if there are several. Each was taken out by itself, and the test beside it failed
(`tests/attacks/test_checks_taken_out.py`, in `make check-full`). This list is written by `python -m tests.attacks.checks`.

| check | test, in `tests` |
|---|---|
""" + "".join(f"| `{check}` | `{test}` |\n" for check, test in FAILS_WITHOUT.items())


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(TITLE)[0].rstrip() + "\n\n" + printed())
