from flask.testing import FlaskClient

RAW_USER = "household 17"


def test_the_list_counts_order_lines_and_finds_by_the_beginning_of_a_pseudonym(
    reader: FlaskClient, user_id: str
) -> None:
    assert user_id in reader.get("/users/").text
    text = reader.get("/users/", query_string={"q": user_id[:8]}).text
    assert user_id in text
    assert "u_other1" not in text


def test_a_raw_id_leads_to_its_user_and_is_nowhere_on_the_page(reader: FlaskClient, user_id: str) -> None:
    answer = reader.get("/users/", query_string={"q": RAW_USER})
    assert (answer.status_code, answer.location) == (302, f"/users/{user_id}")
    assert RAW_USER not in reader.get(answer.location).text
    assert "No user matches" in reader.get("/users/?q=household+99").text


def test_a_user_shows_segments_and_purchases_latest_first(reader: FlaskClient, user_id: str) -> None:
    text = reader.get(f"/users/{user_id}").text
    for fact in ("35-44", "Dry tomato soup", "Dark bread", "6.50 USD", "25 Dec 2017", "2 order lines"):
        assert fact in text, fact
    assert "Green tea" not in text


def test_recommendations_show_sources_reasons_and_what_they_rest_on(reader: FlaskClient, user_id: str) -> None:
    text = reader.get(f"/users/{user_id}/recommendations").text
    assert 'data-product="shop:soup"' in text
    assert "badge bg-azure-lt" in text
    assert "as of 25 Dec 2017" in text
    assert "shop:secret" not in text
    novel = reader.get(f"/users/{user_id}/recommendations?novel=1").text
    assert 'data-product="shop:soup"' not in novel
    assert 'data-product="shop:tea"' in novel


def test_an_unknown_user_is_a_404(reader: FlaskClient) -> None:
    assert reader.get("/users/u_nobody").status_code == 404
