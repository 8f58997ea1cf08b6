# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The verb lake-test: the Spark jobs, Airflow and further readers of the lake, for real. On top of
# what the verb spark has in .deps/spark come Delta's jars and the readers; Airflow has a place of
# its own. Some 900 MB in all, so only this verb asks for them.

delta_version=4.4.0

lake_present() {
    [ "$(cat "$deps/spark/delta-version" 2>/dev/null)" = "$delta_version" ] &&
        cmp -s tools/lake/requirements.lock "$deps/spark/requirements.lock"
}

# shellcheck disable=SC2034
lake_remedy="check that pip reaches the Python package index and Maven reaches Maven Central (or \
their mirrors in pip.conf and settings.xml)"
lake_install() {
    "$deps/spark/venv/bin/pip" install -q -r tools/lake/requirements.lock
    mkdir -p "$deps/spark/delta"
    cat >"$deps/spark/delta/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>ringtape</groupId><artifactId>lake</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>io.delta</groupId><artifactId>delta-spark_4.2_2.13</artifactId>
      <version>$delta_version</version>
    </dependency>
  </dependencies>
</project>
POM
    rm -rf "$deps/spark/jars-delta"
    # What PySpark brings itself is left out.
    (cd "$deps/spark/delta" && mvn -B -ntp -q dependency:copy-dependencies \
        -DincludeScope=runtime "-DoutputDirectory=$deps/spark/jars-delta" \
        "-DexcludeGroupIds=org.apache.spark,org.apache.hadoop,org.scala-lang,org.slf4j" \
        "-DexcludeArtifactIds=$(lake_of_pyspark)")
    cp tools/lake/requirements.lock "$deps/spark/requirements.lock"
    echo "$delta_version" >"$deps/spark/delta-version"
}

# Names of the jars of PySpark, without versions, joined by commas.
lake_of_pyspark() {
    find "$deps/spark/venv/lib/" -path '*/pyspark/jars/*.jar' -printf '%f\n' |
        sed -E 's/-[0-9].*\.jar$//' | sort -u | paste -sd ,
}

airflow_present() {
    cmp -s tools/lake/airflow.lock "$deps/airflow/airflow.lock"
}

# shellcheck disable=SC2034
airflow_remedy="check that pip reaches the Python package index (or its mirror in pip.conf)"
airflow_install() {
    mkdir -p "$deps/airflow"
    [ -x "$deps/airflow/venv/bin/pip" ] || /usr/bin/python3 -m venv --clear "$deps/airflow/venv"
    "$deps/airflow/venv/bin/pip" install -q -r tools/lake/airflow.lock
    cp tools/lake/airflow.lock "$deps/airflow/airflow.lock"
}

browser_present() {
    command -v chromium >/dev/null
}

# shellcheck disable=SC2034
browser_remedy="check that apt-get can install chromium"
# shellcheck disable=SC2034
browser_fallback="the tests of the report in a browser are left out"
browser_install() {
    packages_get chromium
}

# Arguments go to pytest: 'tools/dev lake-test -k daily'.
verb_lake-test() {
    local status=0 step
    for step in spark lake airflow browser; do setup_step "$step"; done
    rm -rf "$test_logs/lake" "$test_logs/lake.xml" && mkdir -p "$test_logs/lake"
    # The browser's pages are of stores that a test program makes.
    zig_build install stage-test >&2
    run_environment
    export RINGTAPE_SPARK=$deps/spark RINGTAPE_AIRFLOW=$deps/airflow
    export RINGTAPE_LAKE_LOGS=$root/$test_logs/lake
    # Spark's Python workers look there, too.
    export PYTHONPATH=$root/tools/lake:$root/tests/lake:$root/tests/peers
    "$deps/spark/venv/bin/python" -m pytest tests/lake -p lake_world -o 'python_files=*_test.py' \
        -p no:cacheprovider -q -ra --durations=25 --junitxml="$test_logs/lake.xml" "$@" ||
        status=$?
    test_pytest_sum "$test_logs/lake.xml" "$status"
}
