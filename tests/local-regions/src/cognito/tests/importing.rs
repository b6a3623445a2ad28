//! Import jobs and the outcome of each row.

use super::*;

const TOO_MANY: &str = "Too many users have failed or been skipped during the import.";
const ROLE: &str = "arn:aws:iam::123456789012:role/import-logs";

pub(super) async fn create(local: &Local) -> Value {
    let body = json!({"JobName": "restore", "CloudWatchLogsRoleArn": ROLE});
    local.ok("CreateUserImportJob", body).await["UserImportJob"].clone()
}

pub(super) async fn upload(
    local: &Local,
    job: &Value,
    csv: impl Into<Bytes>,
) -> Result<(), ApiError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-amz-server-side-encryption",
        "aws:kms".parse().expect("a header"),
    );
    upload_with(local, job, csv.into(), headers).await
}

async fn upload_with(
    local: &Local,
    job: &Value,
    csv: Bytes,
    headers: HeaderMap,
) -> Result<(), ApiError> {
    let url = text(job, "PreSignedUrl");
    let path = url.strip_prefix(ENDPOINT).expect("the endpoint");
    local.cognito.upload(path, &headers, csv).await
}

pub(super) async fn wait(local: &Local, job: &Value) -> Value {
    loop {
        let now = local
            .ok("DescribeUserImportJob", json!({"JobId": job["JobId"]}))
            .await["UserImportJob"]
            .clone();
        if !["Pending", "InProgress", "Stopping"].contains(&text(&now, "Status")) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a job to its end and returns its description and its log.
async fn import(local: &Local, csv: impl Into<Bytes>) -> (Value, Vec<String>) {
    let job = create(local).await;
    upload(local, &job, csv).await.expect("the upload");
    local
        .ok("StartUserImportJob", json!({"JobId": job["JobId"]}))
        .await;
    let end = wait(local, &job).await;
    let log = local
        .cognito
        .import_log(&local.pool.id, text(&job, "JobId"));
    (end, log)
}

/// A CSV for the pool, with one row for each list of cells.
async fn csv(local: &Local, rows: &[&[(&str, &str)]]) -> String {
    let header = local.ok("GetCSVHeader", json!({})).await["CSVHeader"].clone();
    let header: Vec<_> = header
        .as_array()
        .expect("a header")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let row = |row: &&[(&str, &str)]| {
        let cell = |column: &&str| {
            row.iter()
                .find(|(name, _)| name == column)
                .map_or("", |(_, value)| value)
        };
        header.iter().map(cell).collect::<Vec<_>>().join(",")
    };
    let lines = [header.join(",")].into_iter().chain(rows.iter().map(row));
    lines.map(|line| line + "\n").collect()
}

/// A CSV of people who have only an email.
pub(super) async fn csv_of(local: &Local, addresses: &[String]) -> String {
    let row = |address| {
        [
            ("email", address),
            ("cognito:username", address),
            ("email_verified", "TRUE"),
        ]
    };
    let rows: Vec<_> = addresses
        .iter()
        .map(|address| row(address.as_str()))
        .collect();
    let rows: Vec<_> = rows.iter().map(|row| &row[..]).collect();
    csv(local, &rows).await
}

#[tokio::test]
async fn given_the_header_when_asked_for_then_custom_columns_are_before_mfa_and_sub_is_absent() {
    let local = Local::new(mfa_pool());
    let header = local.ok("GetCSVHeader", json!({})).await["CSVHeader"].clone();
    let header: Vec<_> = header
        .as_array()
        .expect("a header")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let end = [
        "updated_at",
        "custom:tenant",
        "custom:origin_sub",
        "cognito:mfa_enabled",
        "cognito:username",
    ];
    assert_eq!(header[..2], ["name", "given_name"]);
    assert_eq!(header[header.len() - 5..], end);
    assert!(!header.contains(&"sub") && !header.contains(&"identities"));
}

#[tokio::test]
async fn given_rows_of_every_kind_when_imported_then_each_has_its_outcome() {
    let local = Local::new(mfa_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        failure_share: 1.0,
        ..ImportKnobs::default()
    });
    local.seed("old@e.jp", UserStatus::Confirmed);
    let email = |address: &'static str| {
        [
            ("email", address),
            ("cognito:username", address),
            ("email_verified", "true"),
        ]
    };
    let with =
        |address, more: &[(&'static str, &'static str)]| [&email(address)[..], more].concat();
    let rows = [
        (
            with(
                "a@e.jp",
                &[
                    ("birthdate", "02/01/1985"),
                    ("address", "1-2\\, Chiyoda"),
                    ("updated_at", "1471453471"),
                ],
            ),
            "",
        ),
        (
            with(
                "b@e.jp",
                &[("cognito:mfa_enabled", "TRUE"), ("name", "  太郎 ")],
            ),
            "",
        ),
        (with("OLD@e.jp", &[]), "already exists"),
        (with("A@e.jp", &[]), "already exists"),
        (
            with("c@e.jp", &[("cognito:mfa_enabled", "false")]),
            "mfa_enabled",
        ),
        (with("d@e.jp", &[("birthdate", "1985-02-01")]), "birthdate"),
        (
            with("e@e.jp", &[("updated_at", "1700000000.123")]),
            "updated_at",
        ),
        (with("f@e.jp", &[("phone_number", "090")]), "phone_number"),
        (
            with("g@e.jp", &[("phone_number_verified", "true")]),
            "phone_number",
        ),
        (
            with("h@e.jp", &[("nickname", "C:\\Users\\taro")]),
            "[Inf] A backslash",
        ),
        (
            // A backslash at the end of a value escapes the comma after it.
            with("h@e.jp", &[("nickname", "taro\\")]),
            "number of columns",
        ),
        (
            with("i@e.jp", &[("nickname", "\"taro\"")]),
            "[Inf] A quotation mark",
        ),
        (
            with("j@e.jp", &[("nickname", "a\u{7}b")]),
            "[Inf] A control character",
        ),
        (with("k@e.jp", &[("nickname", "a,b")]), "number of columns"),
        (
            vec![
                ("email", "l@e.jp"),
                ("cognito:username", "l@e.jp"),
                ("email_verified", "false"),
            ],
            "The User Record does not set any of the auto verified attributes to true. (Example: email_verified to true).",
        ),
        (
            vec![("email", "m@e.jp"), ("email_verified", "true")],
            "cognito:username",
        ),
        (
            vec![
                ("email", "n@e.jp"),
                ("cognito:username", "taro"),
                ("email_verified", "true"),
            ],
            "Username should be an email.",
        ),
        (
            vec![
                ("email", "o@e.jp"),
                ("cognito:username", "p@e.jp"),
                ("email_verified", "true"),
            ],
            "other than the email",
        ),
    ];
    let cells: Vec<&[(&str, &str)]> = rows.iter().map(|(row, _)| &row[..]).collect();
    let (end, log) = import(&local, csv(&local, &cells).await).await;
    assert_eq!(log.len(), rows.len());
    for (i, ((_, reason), line)) in rows.iter().zip(&log).enumerate() {
        let outcome = match *reason {
            "" => "SUCCEEDED",
            "already exists" => "SKIPPED",
            _ => "FAILED",
        };
        assert!(
            line.starts_with(&format!("[{outcome}] Line Number {} - ", i + 1)),
            "{line}"
        );
        assert!(line.contains(reason), "{line}");
    }
    assert_eq!(
        (&end["ImportedUsers"], &end["SkippedUsers"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(end["Status"], "Succeeded");
    let user = local
        .cognito
        .user(&local.pool.id, "a@e.jp")
        .expect("imported");
    assert_eq!(user.status, UserStatus::ResetRequired);
    assert_eq!(user.attributes["birthdate"], "1985-02-01");
    assert_eq!(user.attributes["address"], "1-2, Chiyoda");
    let user = local
        .cognito
        .user(&local.pool.id, "b@e.jp")
        .expect("imported");
    assert_eq!(user.attributes["name"], "太郎");
    assert_eq!(local.cognito.messages_sent(), 0);
}

#[tokio::test]
async fn given_mostly_existing_users_when_imported_then_the_job_fails_though_the_new_ones_are_in() {
    let local = Local::new(email_pool());
    let addresses: Vec<_> = (0..4).map(|i| format!("user{i}@e.jp")).collect();
    addresses[..3]
        .iter()
        .for_each(|address| drop(local.seed(address, UserStatus::Confirmed)));
    let (end, log) = import(&local, csv_of(&local, &addresses).await).await;
    assert_eq!(end["Status"], "Failed");
    assert_eq!(
        end["CompletionMessage"],
        "Too many users have failed or been skipped during the import."
    );
    assert_eq!((&end["ImportedUsers"], log.len()), (&json!(1), 4));
}

/// A new and an existing person, alternately.
async fn half_existing(local: &Local) -> String {
    let addresses: Vec<_> = (0..300).map(|i| format!("user{i}@e.jp")).collect();
    for address in addresses.iter().skip(1).step_by(2) {
        local.seed(address, UserStatus::Confirmed);
    }
    csv_of(local, &addresses).await
}

#[tokio::test]
async fn given_a_job_that_aborts_when_too_many_are_skipped_then_the_rest_is_never_tried() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        failure_share: 0.25,
        abort: true,
        ..ImportKnobs::default()
    });
    let (end, log) = import(&local, half_existing(&local).await).await;
    assert_eq!(
        (&end["Status"], &end["CompletionMessage"]),
        (&"Failed".into(), &TOO_MANY.into())
    );
    assert_eq!(
        (&end["ImportedUsers"], &end["SkippedUsers"]),
        (&76.into(), &76.into())
    );
    assert_eq!(log.len(), 152);
}

#[tokio::test]
async fn given_a_job_that_does_not_abort_when_too_many_are_skipped_then_it_fails_with_half_of_them_in()
 {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        failure_share: 0.25,
        ..ImportKnobs::default()
    });
    let (end, log) = import(&local, half_existing(&local).await).await;
    assert_eq!(
        (&end["Status"], &end["CompletionMessage"]),
        (&"Failed".into(), &TOO_MANY.into())
    );
    assert_eq!(
        (&end["ImportedUsers"], &end["SkippedUsers"]),
        (&150.into(), &150.into())
    );
    assert_eq!(log.len(), 300);
}

#[tokio::test]
async fn given_rows_that_meet_an_internal_error_when_imported_again_then_they_come_in() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        failure_share: 1.0,
        ..ImportKnobs::default()
    });
    let file = csv_of(&local, &["a@e.jp".to_owned(), "b@e.jp".to_owned()]).await;
    local.cognito.knobs().break_rows([2]);
    let (first, log) = import(&local, file.clone()).await;
    let (second, _) = import(&local, file).await;
    assert_eq!(
        (&first["ImportedUsers"], &first["FailedUsers"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        log[1],
        "[FAILED] Line Number 2 - An internal error occurred."
    );
    assert_eq!(
        (&second["ImportedUsers"], &second["SkippedUsers"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn given_an_upload_that_is_not_seen_at_once_when_started_again_then_the_job_runs() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        unseen_starts: 2,
        ..ImportKnobs::default()
    });
    let job = create(&local).await;
    let file = csv_of(&local, &["a@e.jp".to_owned()]).await;
    upload(&local, &job, file).await.expect("the upload");
    let start = json!({"JobId": job["JobId"]});
    for _ in 0..2 {
        let refusal = local.refused("StartUserImportJob", start.clone()).await;
        assert!(
            refusal.contains("No csv file was uploaded for"),
            "{refusal}"
        );
    }
    local.ok("StartUserImportJob", start).await;
    assert_eq!(wait(&local, &job).await["ImportedUsers"], 1);
}

#[tokio::test]
async fn given_a_file_that_is_not_the_pools_when_imported_then_the_job_fails() {
    let local = Local::new(email_pool());
    let good = csv(&local, &[]).await;
    for wrong in [
        good.replace("nickname,", ""),
        format!("\u{feff}{good}"),
        good.replace("nickname", "surname"),
    ] {
        let (end, log) = import(&local, wrong).await;
        assert_eq!((text(&end, "Status"), log.len()), ("Failed", 0));
    }
}

#[tokio::test]
async fn given_an_upload_when_it_is_late_or_lacks_its_header_then_it_is_forbidden() {
    let local = Local::new(email_pool());
    let job = create(&local).await;
    let refusal = upload_with(&local, &job, Bytes::new(), HeaderMap::new())
        .await
        .expect_err("no header");
    assert_eq!(
        (refusal.status, refusal.code.as_str()),
        (403, "SignatureDoesNotMatch")
    );
    assert_eq!(
        local
            .refused("StartUserImportJob", json!({"JobId": job["JobId"]}))
            .await,
        format!(
            "PreconditionNotMetException: No csv file was uploaded for {}",
            text(&job, "JobId")
        )
    );
    local.cognito.advance(Duration::from_secs(899));
    let refusal = upload(&local, &job, "").await.expect_err("late");
    assert_eq!(
        (refusal.status, refusal.message.as_str()),
        (403, "Request has expired")
    );
    local.cognito.advance(Duration::from_secs(24 * 3600));
    assert_eq!(wait(&local, &job).await["Status"], "Expired");
}

#[tokio::test]
async fn given_a_slow_job_when_another_is_started_then_only_one_runs_and_it_can_be_stopped() {
    let local = Local::new(email_pool());
    local.cognito.knobs().set_import(ImportKnobs {
        rows_per_second: Some(10),
        ..ImportKnobs::default()
    });
    let addresses: Vec<_> = (0..50).map(|i| format!("user{i}@e.jp")).collect();
    let file = csv_of(&local, &addresses).await;
    let (first, second) = (create(&local).await, create(&local).await);
    for job in [&first, &second] {
        upload(&local, job, file.clone()).await.expect("the upload");
    }
    let started = local
        .ok("StartUserImportJob", json!({"JobId": first["JobId"]}))
        .await;
    assert_eq!(started["UserImportJob"]["Status"], "Pending");
    let refusal = local
        .refused("StartUserImportJob", json!({"JobId": second["JobId"]}))
        .await;
    assert!(
        refusal.starts_with("PreconditionNotMetException"),
        "{refusal}"
    );
    local
        .ok("StopUserImportJob", json!({"JobId": first["JobId"]}))
        .await;
    let end = wait(&local, &first).await;
    assert_eq!(end["Status"], "Stopped");
    assert_eq!(
        end["CompletionMessage"],
        "The Import Job was stopped by the developer."
    );
    assert!(local.cognito.users(&local.pool.id).len() < 50);
    local.cognito.knobs().set_import(ImportKnobs::default());
    local
        .ok("StartUserImportJob", json!({"JobId": second["JobId"]}))
        .await;
    wait(&local, &second).await;
    assert_eq!(local.cognito.users(&local.pool.id).len(), 50);
    let jobs = local
        .ok("ListUserImportJobs", json!({"MaxResults": 1}))
        .await;
    assert!(
        jobs["UserImportJobs"]
            .as_array()
            .is_some_and(|jobs| jobs.len() == 1)
    );
    assert!(jobs["PaginationToken"].is_string());
}

#[tokio::test]
async fn given_jobs_that_cannot_be_when_created_then_they_are_refused() {
    let local = Local::new(PoolSettings {
        auto_verified: Vec::new(),
        ..email_pool()
    });
    let body = json!({"JobName": "restore", "CloudWatchLogsRoleArn": ROLE});
    let refusal = local.refused("CreateUserImportJob", body).await;
    assert!(
        refusal.starts_with("PreconditionNotMetException"),
        "{refusal}"
    );
    let refusal = local
        .refused("CreateUserImportJob", json!({"JobName": "restore"}))
        .await;
    assert!(
        refusal.contains("Value null at 'cloudWatchLogsRoleArn'"),
        "{refusal}"
    );
    let body = json!({"JobName": "r", "CloudWatchLogsRoleArn": ROLE, "PasswordHashingAlgorithm": "BCRYPT"});
    let refusal = local.refused("CreateUserImportJob", body).await;
    assert!(refusal.contains("does not model"), "{refusal}");
}
